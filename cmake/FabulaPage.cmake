# Embeds the page of `fabula serve`, ROOT/{index.html,page.css,*.js}, into TARGET as one file (cmake/BundlePage.cmake), by .incbin.
set(FABULA_PAGE_SCRIPTS sse api tokens settings story dom teller connection
  view_story view_inside view_settings view_stories view_panel page)

function(fabula_embed_page target root)
  file(GLOB sources CONFIGURE_DEPENDS ${root}/*)
  foreach(source IN LISTS sources)
    get_filename_component(name ${source} NAME_WE)
    if(source MATCHES "[.]js$" AND NOT name IN_LIST FABULA_PAGE_SCRIPTS)
      message(FATAL_ERROR "${source} is not among FABULA_PAGE_SCRIPTS (cmake/FabulaPage.cmake): say where in their order it comes")
    endif()
  endforeach()
  set(out_dir ${PROJECT_BINARY_DIR}/page)
  set(page ${out_dir}/page.html)
  add_custom_command(OUTPUT ${page}
    COMMAND ${CMAKE_COMMAND} -DSOURCE=${root} -DOUT=${page} "-DORDER=${FABULA_PAGE_SCRIPTS}"
            -P ${PROJECT_SOURCE_DIR}/cmake/BundlePage.cmake
    DEPENDS ${sources} ${PROJECT_SOURCE_DIR}/cmake/BundlePage.cmake COMMENT "Page" VERBATIM)
  file(CONFIGURE OUTPUT ${out_dir}/embedded_page.S CONTENT
"${FABULA_EMBED_BEGIN}.globl fabula_page
fabula_page:
.incbin \"${page}\"
.globl fabula_page_end
fabula_page_end:
${FABULA_EMBED_END}" @ONLY)
  set_source_files_properties(${out_dir}/embedded_page.S PROPERTIES OBJECT_DEPENDS ${page})
  target_sources(${target} PRIVATE ${out_dir}/embedded_page.S)
endfunction()

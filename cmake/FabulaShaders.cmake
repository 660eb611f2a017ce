# Compiles every shaders/<family>/*.comp, checks it with spirv-val and embeds it into TARGET by .incbin.
#
# A shader file states its own permutations, one a line, as comments:
#   //! variant layer_norm
#   //! variant matmul_nt LAYOUT=1 VEC=4
#   //! variant matmul_coop_nv_nn COOPMAT=2 REQUIRES:GL_NV_cooperative_matrix
# The name is what src/vk looks kernels up by; the rest are preprocessor definitions. A file without such a line is one variant,
# named after the file. A variant with REQUIRES:EXTENSION is left out where the compiler or spirv-val does not know the extension,
# found out with cmake/probes/EXTENSION.comp. One extension has a stand-in: what requires GL_KHR_cooperative_matrix is compiled with
# COOPMAT_WRITTEN_AS_NV where only GL_NV_cooperative_matrix is known, and rewritten when it is loaded (src/vk/khr_matrix.hpp), as is
# what says REWRITTEN:kKhrBf16.
find_program(FABULA_GLSLANG NAMES glslangValidator)
find_program(FABULA_GLSLC NAMES glslc)
find_program(FABULA_SPIRV_VAL NAMES spirv-val)
if(NOT FABULA_GLSLANG AND NOT FABULA_GLSLC)
  message(FATAL_ERROR "No GLSL compiler found: install glslang-tools (glslangValidator) or glslc")
endif()
if(NOT FABULA_SPIRV_VAL)
  message(FATAL_ERROR "spirv-val not found: install spirv-tools")
endif()

# Sets out to TRUE where the shader compiler and spirv-val take cmake/probes/EXTENSION.comp.
function(fabula_probe_shader_extension extension out)
  set(cached FABULA_SHADERS_${extension})
  if(NOT DEFINED ${cached})
    set(probe ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/probes/${extension}.comp)
    set(spv ${PROJECT_BINARY_DIR}/probe_${extension}.spv)
    if(FABULA_GLSLANG)
      execute_process(COMMAND ${FABULA_GLSLANG} --target-env vulkan1.1 -V ${probe} -o ${spv}
        RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET)
    else()
      execute_process(COMMAND ${FABULA_GLSLC} --target-env=vulkan1.1 ${probe} -o ${spv}
        RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET)
    endif()
    if(NOT failed)
      execute_process(COMMAND ${FABULA_SPIRV_VAL} --target-env vulkan1.1 ${spv}
        RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET)
    endif()
    set(known TRUE)
    if(failed)
      set(known FALSE)
    endif()
    set(${cached} ${known} CACHE INTERNAL "Does the shader compiler know ${extension}?")
  endif()
  set(${out} ${${cached}} PARENT_SCOPE)
endfunction()

function(fabula_embed_shaders target root)
  file(GLOB shaders CONFIGURE_DEPENDS ${root}/*/*.comp)
  file(GLOB includes CONFIGURE_DEPENDS ${root}/include/*.glsl)
  set(out_dir ${PROJECT_BINARY_DIR}/shaders)
  file(MAKE_DIRECTORY ${out_dir})
  set(asm "${FABULA_EMBED_BEGIN}")
  set(decls "")
  set(rows "")
  set(outputs "")
  set(names "")
  set(left_out "")
  foreach(shader IN LISTS shaders)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${shader})
    file(STRINGS ${shader} variants REGEX "^//! variant ")
    if(NOT variants)
      get_filename_component(stem ${shader} NAME_WE)
      set(variants "//! variant ${stem}")
    endif()
    foreach(variant IN LISTS variants)
      string(REGEX REPLACE "^//! variant +" "" variant "${variant}")
      separate_arguments(words UNIX_COMMAND "${variant}")
      list(POP_FRONT words name)
      if(name IN_LIST names)
        message(FATAL_ERROR "Shader variant ${name} is defined twice (${shader})")
      endif()
      list(APPEND names ${name})
      set(defines "")
      set(missing "")
      set(rewriting kNone)
      foreach(word IN LISTS words)
        if(word MATCHES "^REQUIRES:(.+)$")
          fabula_probe_shader_extension(${CMAKE_MATCH_1} known)
          if(NOT known AND CMAKE_MATCH_1 STREQUAL "GL_KHR_cooperative_matrix")
            fabula_probe_shader_extension(GL_NV_cooperative_matrix known)
            set(rewriting kKhr)
            list(APPEND defines -DCOOPMAT_WRITTEN_AS_NV)
          endif()
          if(NOT known)
            set(missing ${CMAKE_MATCH_1})
          endif()
        elseif(word MATCHES "^REWRITTEN:(.+)$")
          set(rewriting ${CMAKE_MATCH_1})
        else()
          list(APPEND defines -D${word})
        endif()
      endforeach()
      if(missing)
        list(POP_BACK names)
        list(APPEND left_out_${missing} ${name})
        list(APPEND left_out ${missing})
        continue()
      endif()
      set(spv ${out_dir}/${name}.spv)
      set(hide "")
      if(NOT WIN32 AND NOT APPLE)  # else the shared library exports them
        set(hide ".hidden fabula_spv_${name}, fabula_spv_${name}_end\n")
      endif()
      if(FABULA_GLSLANG)
        set(compile ${FABULA_GLSLANG} --quiet --target-env vulkan1.1 -V -I${root}/include ${defines} ${shader} -o ${spv})
      else()
        set(compile ${FABULA_GLSLC} --target-env=vulkan1.1 -O -I${root}/include ${defines} ${shader} -o ${spv})
      endif()
      add_custom_command(OUTPUT ${spv}
        COMMAND ${compile}
        COMMAND ${FABULA_SPIRV_VAL} --target-env vulkan1.1 ${spv}
        DEPENDS ${shader} ${includes} COMMENT "Shader ${name}" VERBATIM)
      list(APPEND outputs ${spv})
      string(APPEND asm ".balign 4\n.globl fabula_spv_${name}\nfabula_spv_${name}:\n.incbin \"${spv}\"\n.globl fabula_spv_${name}_end\nfabula_spv_${name}_end:\n${hide}")
      string(APPEND decls "extern const std::uint32_t fabula_spv_${name}[], fabula_spv_${name}_end[];\n")
      string(APPEND rows "    {\"${name}\", fabula_spv_${name}, fabula_spv_${name}_end, Rewriting::${rewriting}},\n")
    endforeach()
  endforeach()
  list(REMOVE_DUPLICATES left_out)
  foreach(extension IN LISTS left_out)
    string(REPLACE ";" ", " text "${left_out_${extension}}")
    message(STATUS "Shaders left out, the compiler does not know ${extension}: ${text}")
  endforeach()
  list(LENGTH names count)
  message(STATUS "${count} shader variants")
  string(APPEND asm "${FABULA_EMBED_END}")
  file(CONFIGURE OUTPUT ${out_dir}/embedded.S CONTENT "${asm}" @ONLY)
  file(CONFIGURE OUTPUT ${out_dir}/embedded.cpp CONTENT
"#include \"vk/shader_table.hpp\"
extern \"C\" {
${decls}}
namespace fabula::vk {
namespace {
constexpr std::size_t kCount = ${count};
const ShaderBinary kShaders[kCount + 1] = {
${rows}    {\"\", nullptr, nullptr, Rewriting::kNone},
};
}  // namespace
std::span<const ShaderBinary> shader_table() { return {kShaders, kCount}; }
}  // namespace fabula::vk
" @ONLY)
  set_source_files_properties(${out_dir}/embedded.S PROPERTIES OBJECT_DEPENDS "${outputs}")
  target_sources(${target} PRIVATE ${out_dir}/embedded.S ${out_dir}/embedded.cpp)
endfunction()

# Android's devices of today and tomorrow have pages of 4 or 16 KiB, ARM64 servers of 64: a segment of a shared library must begin at a
# multiple of the page. 16 KiB is what Android asks for; linkers of older NDKs take 4.
set(FABULA_PAGE_OPTIONS -Wl,-z,max-page-size=16384)

# fabula_large_pages(TARGET): segments aligned to 16 KiB where systems with such pages are built for.
function(fabula_large_pages target)
  if(ANDROID OR (UNIX AND NOT APPLE AND CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64"))
    target_link_options(${target} PRIVATE ${FABULA_PAGE_OPTIONS})
  endif()
endfunction()

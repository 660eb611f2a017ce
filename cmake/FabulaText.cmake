# fabula_embed_text(TARGET NAME files...): the files' texts as std::string_view in embedded::, kFILE_NAME for file_name.ext, in a header
# NAME.hpp that TARGET alone sees. For texts below 64 KiB, which is what a string literal may hold.
function(fabula_embed_text target name)
  set(EMBEDDED_TEXTS "")
  foreach(path ${ARGN})
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
    get_filename_component(symbol ${path} NAME_WE)
    string(REPLACE "_" ";" words ${symbol})
    set(symbol k)
    foreach(word ${words})
      string(SUBSTRING ${word} 0 1 first)
      string(SUBSTRING ${word} 1 -1 rest)
      string(TOUPPER ${first} first)
      string(APPEND symbol ${first}${rest})
    endforeach()
    file(READ ${path} text)
    string(APPEND EMBEDDED_TEXTS "inline constexpr std::string_view ${symbol} = R\"text(${text})text\";\n")
  endforeach()
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/${target}/${name}.hpp @ONLY CONTENT
"#pragma once
#include <string_view>

namespace fabula::embedded {
@EMBEDDED_TEXTS@}  // namespace fabula::embedded
")
  target_include_directories(${target} PRIVATE ${PROJECT_BINARY_DIR}/generated/${target})
endfunction()

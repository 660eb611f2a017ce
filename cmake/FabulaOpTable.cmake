# Writes the op table: one entry for every src/ops/<name>.cpp, joined with src/reference/<name>.cpp by name.
# A new op is found here at the next configure; nothing registers itself at start-up.
function(fabula_generate_op_table target)
  file(GLOB op_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/ops/*.cpp)
  set(decls "")
  set(refs "")
  set(rows "")
  set(count 0)
  foreach(file IN LISTS op_files)
    get_filename_component(name ${file} NAME_WE)
    if(NOT EXISTS ${PROJECT_SOURCE_DIR}/src/reference/${name}.cpp)
      message(FATAL_ERROR "Op ${name} has no CPU reference: src/reference/${name}.cpp is missing")
    endif()
    string(APPEND decls "extern const graph::OpDef ${name};\n")
    string(APPEND refs "template <class T> void ${name}(graph::RefCall<T>&);\nstd::vector<graph::OpCase> ${name}_cases();\n")
    string(APPEND rows "    {&ops::${name}, &reference::${name}<float>, &reference::${name}<double>, &reference::${name}_cases},\n")
    math(EXPR count "${count} + 1")
  endforeach()
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/op_table.cpp CONTENT
"#include \"ops/op_table.hpp\"
namespace fabula::ops {
${decls}}
namespace fabula::reference {
${refs}}
namespace fabula::ops {
const graph::OpTable& op_table() {
  static const graph::OpTable table{{
${rows}  }};
  return table;
}
}  // namespace fabula::ops
" @ONLY)
  target_sources(${target} PRIVATE ${PROJECT_BINARY_DIR}/op_table.cpp)
  message(STATUS "${count} ops")
endfunction()

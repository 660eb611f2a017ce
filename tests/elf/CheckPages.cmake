# Links a small library for ARM64 with the options that fabula's have: CheckLibrary.cmake must take it, and refuse one of 4 KiB pages.
# -DCOMPILER=aarch64-linux-gnu-gcc -DFLAGS=... -DREADELF=... -DPAGE_OPTIONS=... -DFOLDER=...
cmake_minimum_required(VERSION 3.25)
file(MAKE_DIRECTORY ${FOLDER})
file(WRITE ${FOLDER}/pages.c "int fabula_numbers[1000] = {1};\nint fabula_number(int i) { return fabula_numbers[i]; }\n")

function(check out)
  execute_process(COMMAND ${COMPILER} ${FLAGS} -shared -fPIC -nostdlib ${ARGN} ${FOLDER}/pages.c -o ${FOLDER}/libpages.so RESULT_VARIABLE result)
  if(NOT result STREQUAL 0)
    message(FATAL_ERROR "${COMPILER} cannot link a library")
  endif()
  execute_process(COMMAND ${CMAKE_COMMAND} -DREADELF=${READELF} -DLIBRARY=${FOLDER}/libpages.so -DPAGES=ON "-DEXPORTS=^fabula_"
    -P ${CMAKE_CURRENT_LIST_DIR}/CheckLibrary.cmake RESULT_VARIABLE result ERROR_VARIABLE errors)
  set(${out} ${result} PARENT_SCOPE)
  set(errors "${errors}" PARENT_SCOPE)
endfunction()

check(result ${PAGE_OPTIONS})
if(NOT result STREQUAL 0)
  message(FATAL_ERROR "refused, with ${PAGE_OPTIONS}:\n${errors}")
endif()
check(result -Wl,-z,max-page-size=4096)
if(result STREQUAL 0 OR NOT errors MATCHES "not to[ \n]+0x4000")
  message(FATAL_ERROR "a library of 4 KiB pages is taken:\n${errors}")
endif()

# Run by every build: writes OUT, a header that names the commit of SOURCE's checkout, if it changed. A source archive has none.
set(commit "no commit known")
if(GIT)
  execute_process(COMMAND ${GIT} describe --always --dirty --abbrev=10 WORKING_DIRECTORY ${SOURCE}
                  OUTPUT_VARIABLE described OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(described)
    set(commit "commit ${described}")
  endif()
endif()
file(CONFIGURE OUTPUT ${OUT} CONTENT "#define FABULA_COMMIT \"${commit}\"\n")

# Trains a small model with the program FABULA, has it tell a text, and runs JniTest with both.
# -DFABULA=... -DJAVA=... -DCLASS_PATH=a:b -DLIBRARY_PATH=a:b -DCONFIG=config.json -DFOLDER=where files are written
cmake_minimum_required(VERSION 3.25)
file(REMOVE_RECURSE ${FOLDER})
file(MAKE_DIRECTORY ${FOLDER})

function(run out)
  execute_process(COMMAND ${ARGN} OUTPUT_VARIABLE output ERROR_VARIABLE errors RESULT_VARIABLE result)
  if(NOT result STREQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}\nended with \"${result}\":\n${output}\n${errors}")
  endif()
  set(${out} "${output}" PARENT_SCOPE)
  set(errors "${errors}" PARENT_SCOPE)
endfunction()

run(output ${FABULA} train ${CONFIG} --corpus-stories 60 --out ${FOLDER}/run)
run(text ${FABULA} generate ${FOLDER}/run --prompt Once --temperature 0 --max-tokens 24)
string(REGEX REPLACE "\n$" "" text "${text}")  # the program's own end of the line
file(WRITE ${FOLDER}/text "${text}")
run(output ${JAVA} -Xcheck:jni -Djava.library.path=${LIBRARY_PATH} -cp ${CLASS_PATH} JniTest ${FOLDER}/run ${FOLDER}/text)
if(NOT output MATCHES "all passed" OR "${output}${errors}" MATCHES "(WARNING|FATAL ERROR) in native method")
  message(FATAL_ERROR "JniTest says:\n${output}\n${errors}")
endif()

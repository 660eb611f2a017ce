# fabula_icd_file(OUT NAME): the ICD file of one of Mesa's drivers (lvp_icd, radeon_icd) for the architecture that is built for. Machines
# with the packages of several architectures have one file for each, and the loader fails with another's. Newer packages name none.
function(fabula_icd_file out name)
  set(folder /usr/share/vulkan/icd.d)
  set(own ${folder}/${name}.${CMAKE_SYSTEM_PROCESSOR}.json)
  set(${out} ${own} PARENT_SCOPE)
  if(NOT EXISTS ${CMAKE_SYSROOT}${own} AND EXISTS ${CMAKE_SYSROOT}${folder}/${name}.json)
    set(${out} ${folder}/${name}.json PARENT_SCOPE)
  endif()
endfunction()

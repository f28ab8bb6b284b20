# find_package(mflow CONFIG): the target mflow::headers, and mflow_FORTRAN_SOURCES for hosts that compile the Fortran modules.
# There is no library to link: a host is handed a table of functions by the Python module that it imports.
get_filename_component(_mflow_root "${CMAKE_CURRENT_LIST_DIR}/.." ABSOLUTE)
set(mflow_INCLUDE_DIR "${_mflow_root}/include")
set(mflow_FORTRAN_SOURCES "${mflow_INCLUDE_DIR}/mflow/mflow.f90" "${mflow_INCLUDE_DIR}/mflow/mflow_python.f90")
if(NOT TARGET mflow::headers)
  add_library(mflow::headers INTERFACE IMPORTED)
  set_target_properties(mflow::headers PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${mflow_INCLUDE_DIR}")
endif()
unset(_mflow_root)

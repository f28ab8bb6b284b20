! mflow_python.f90: how a Fortran host reaches the table, with the interpreter's functions that it needs. Link it with libpython.
!
!   call Py_InitializeEx(0)                 the Python whose python3 is first in PATH: that of an activated virtual environment
!   status = mflow_import()                 fills the procedures of module mflow; on failure Python's message is on stderr
!   thread = PyEval_SaveThread()            from here on nothing needs Python; callbacks that do take the GIL themselves
module mflow_python
  use, intrinsic :: iso_c_binding
  use mflow
  implicit none
  private
  public :: mflow_import, Py_InitializeEx, Py_FinalizeEx, PyEval_SaveThread, PyEval_RestoreThread

  interface
    subroutine Py_InitializeEx(handlers) bind(C, name="Py_InitializeEx")
      import
      integer(c_int), value :: handlers
    end subroutine
    integer(c_int) function Py_FinalizeEx() bind(C, name="Py_FinalizeEx")
      import
    end function
    type(c_ptr) function PyEval_SaveThread() bind(C, name="PyEval_SaveThread")
      import
    end function
    subroutine PyEval_RestoreThread(thread) bind(C, name="PyEval_RestoreThread")
      import
      type(c_ptr), value :: thread
    end subroutine
    type(c_ptr) function PyCapsule_Import(name, no_block) bind(C, name="PyCapsule_Import")
      import
      character(kind=c_char), intent(in) :: name(*)
      integer(c_int), value :: no_block
    end function
    type(c_ptr) function PyImport_ImportModule(name) bind(C, name="PyImport_ImportModule")
      import
      character(kind=c_char), intent(in) :: name(*)
    end function
    subroutine PyErr_Print() bind(C, name="PyErr_Print")
    end subroutine
  end interface

contains

  ! MF_OK; MF_E_ARGUMENT where mflow cannot be imported, MF_E_VERSION where it is older than this file.
  integer(c_int) function mflow_import() result(status)
    type(c_ptr) :: table
    table = PyImport_ImportModule("mflow_core.api" // c_null_char)
    if (c_associated(table)) table = PyCapsule_Import("mflow_core.api._C_API" // c_null_char, 0_c_int)
    if (.not. c_associated(table)) call PyErr_Print()
    status = mf_use(table)
  end function

end module mflow_python

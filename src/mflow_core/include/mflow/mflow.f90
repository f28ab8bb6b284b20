! mflow.f90: mflow.h for Fortran, written by tools/make_fortran.py. The module needs no library and no Python: compile it with your code,
! hand mf_use the address of the table (module mflow_python gets it from Python), and call mf_find, mf_step, mf_update, ...
!
!   Structs begin with size: make them with mf_new_problem(), mf_new_frame(), mf_new_run_options(), mf_new_sweep().
!   Texts are C's: mf_find("rk4" // c_null_char). Callbacks are bind(C) functions, handed over as c_funloc(f); arrays begin at 1.
!   Pointers to carried vectors are arrays of c_ptr: [c_loc(y)].
module mflow
  use, intrinsic :: iso_c_binding
  implicit none
  public

  integer(c_int), parameter :: MF_ABI = 1
  integer(c_int), parameter :: MF_API_VERSION = 5
  integer(c_int), parameter :: MF_OK = 0
  integer(c_int), parameter :: MF_E_ARGUMENT = -1001
  integer(c_int), parameter :: MF_E_CALLBACK = -1002
  integer(c_int), parameter :: MF_E_MEMORY = -1003
  integer(c_int), parameter :: MF_E_BUSY = -1004
  integer(c_int), parameter :: MF_E_NON_FINITE = -1005
  integer(c_int), parameter :: MF_E_PARAMETER = -1006
  integer(c_int), parameter :: MF_E_VERSION = -1007
  integer(c_int), parameter :: MF_E_KIND = -1008
  integer(c_int), parameter :: MF_E_DAMAGED = -1009
  integer(c_int), parameter :: MF_E_SOLVE = -1010
  integer(c_int), parameter :: MF_E_STEP = -1011
  integer(c_int), parameter :: MF_E_STEPS = -1012
  integer(c_int), parameter :: MF_E_SEARCH = -1013
  integer(c_int), parameter :: MF_RETRY_SOLVE = 1001
  integer(c_int), parameter :: MF_RETRY_NON_FINITE = 1002
  integer(c_int), parameter :: MF_VELOCITY_FREE = 1
  integer(c_int), parameter :: MF_ELEMENTWISE = 2
  integer(c_int), parameter :: MF_REAL = 0
  integer(c_int), parameter :: MF_BOOL = 1
  integer(c_int), parameter :: MF_INT = 2
  integer(c_int), parameter :: MF_CHOICE = 3
  integer(c_int), parameter :: MF_LOWER_OPEN = 1
  integer(c_int), parameter :: MF_UPPER_OPEN = 2
  integer(c_int), parameter :: MF_FRESH = 1
  integer(c_int), parameter :: MF_AGAIN = 2
  integer(c_int), parameter :: MF_IMPLICIT = 1
  integer(c_int), parameter :: MF_LINEAR = 2
  integer(c_int), parameter :: MF_SSP = 4
  integer(c_int), parameter :: MF_SYMPLECTIC = 8
  integer(c_int), parameter :: MF_FSAL = 16
  integer(c_int), parameter :: MF_STIFFLY_ACCURATE = 32
  integer(c_int), parameter :: MF_EMBEDDED = 64
  integer(c_int), parameter :: MF_SECOND_ORDER = 128
  integer(c_int), parameter :: MF_NEEDS_RHO = 256
  integer(c_int), parameter :: MF_STAGED = 512
  integer(c_int), parameter :: MF_DERIVED = 1024
  integer(c_int), parameter :: MF_TRUST_REGION = 2048
  integer(c_int), parameter :: MF_MULTISTEP = 4096
  integer(c_int), parameter :: MF_MASS = 8192
  integer(c_int), parameter :: MF_MASS_AT = 16384
  integer(c_int), parameter :: MF_SEARCH_EXACT = 0
  integer(c_int), parameter :: MF_SEARCH_BACKTRACKING = 1
  integer(c_int), parameter :: MF_SEARCH_ARMIJO = 2
  integer(c_int), parameter :: MF_SEARCH_STRONG_WOLFE = 3
  integer(c_int), parameter :: MF_SEARCH_GIVEN = 1

  type, bind(C) :: mf_problem
    integer(c_int32_t) :: size = 0
    integer(c_int32_t) :: flags = 0
    integer(c_intptr_t) :: n = 0
    type(c_ptr) :: ctx = c_null_ptr
    type(c_funptr) :: rhs = c_null_funptr
    type(c_funptr) :: solve = c_null_funptr
    type(c_funptr) :: lsolve = c_null_funptr
    type(c_funptr) :: value_grad = c_null_funptr
    type(c_funptr) :: accel = c_null_funptr
    type(c_funptr) :: solve_accel = c_null_funptr
    type(c_funptr) :: rhs_lanes = c_null_funptr
    type(c_funptr) :: energy = c_null_funptr
    type(c_funptr) :: jac = c_null_funptr
    type(c_funptr) :: solve_system = c_null_funptr
    type(c_funptr) :: mass = c_null_funptr
    type(c_funptr) :: solve_mass = c_null_funptr
    type(c_funptr) :: linearize = c_null_funptr
    type(c_funptr) :: mass_at = c_null_funptr
  end type mf_problem

  type, bind(C) :: mf_param
    type(c_ptr) :: name = c_null_ptr
    real(c_double) :: value = 0
    real(c_double) :: lower = 0
    real(c_double) :: upper = 0
    integer(c_int32_t) :: kind = 0
    integer(c_int32_t) :: open = 0
    type(c_ptr) :: choices = c_null_ptr
    type(c_ptr) :: doc = c_null_ptr
  end type mf_param

  type, bind(C) :: mf_sizes
    integer(c_int32_t) :: n_vis = 0
    integer(c_int32_t) :: n_vec = 0
    integer(c_int32_t) :: n_scal = 0
    integer(c_int32_t) :: n_coef = 0
    integer(c_int32_t) :: n_work = 0
    integer(c_int32_t) :: n_err = 0
    integer(c_int32_t) :: n_dense = 0
    integer(c_int32_t) :: order = 0
    integer(c_int64_t) :: work_extra = 0
  end type mf_sizes

  type, bind(C) :: mf_frame
    integer(c_int32_t) :: size = 0
    integer(c_int32_t) :: flags = 0
    integer(c_intptr_t) :: n = 0
    integer(c_intptr_t) :: ld = 0
    integer(c_int64_t) :: k = 0
    real(c_double) :: t = 0
    real(c_double) :: h = 0
    real(c_double) :: rho = 0
    type(c_ptr) :: par = c_null_ptr
    type(c_ptr) :: x0 = c_null_ptr
    type(c_ptr) :: x1 = c_null_ptr
    type(c_ptr) :: s0 = c_null_ptr
    type(c_ptr) :: s1 = c_null_ptr
    type(c_ptr) :: work = c_null_ptr
    type(c_ptr) :: err = c_null_ptr
    type(c_ptr) :: D = c_null_ptr
    type(c_ptr) :: p = c_null_ptr
    integer(c_int64_t) :: n_rhs = 0
    integer(c_int64_t) :: n_solve = 0
    type(c_ptr) :: rtol = c_null_ptr
    type(c_ptr) :: atol = c_null_ptr
    integer(c_intptr_t) :: n_tol = 0
    real(c_double) :: h_next = 0
    integer(c_int32_t) :: order = 0
    integer(c_int32_t) :: order_next = 0
  end type mf_frame

  type, bind(C) :: mf_sweep
    integer(c_int32_t) :: size = 0
    integer(c_int32_t) :: flags = 0
    integer(c_intptr_t) :: n = 0
    integer(c_intptr_t) :: rows = 0
    type(c_ptr) :: dense = c_null_ptr
    integer(c_intptr_t) :: ldx = 0
    type(c_ptr) :: indptr = c_null_ptr
    type(c_ptr) :: indices = c_null_ptr
    type(c_ptr) :: values = c_null_ptr
    type(c_ptr) :: label = c_null_ptr
    type(c_ptr) :: weight = c_null_ptr
    type(c_ptr) :: order = c_null_ptr
    integer(c_intptr_t) :: count = 0
    type(c_ptr) :: loss = c_null_ptr
    type(c_ptr) :: x = c_null_ptr
    type(c_ptr) :: scal = c_null_ptr
    real(c_double) :: worst_phi = 0
  end type mf_sweep

  type, bind(C) :: mf_method
    integer(c_int32_t) :: size = 0
    integer(c_int32_t) :: flags = 0
    type(c_ptr) :: name = c_null_ptr
    type(c_ptr) :: class_name = c_null_ptr
    type(c_ptr) :: aliases = c_null_ptr
    type(c_ptr) :: family = c_null_ptr
    type(c_ptr) :: formula = c_null_ptr
    type(c_ptr) :: doc = c_null_ptr
    type(c_ptr) :: reference = c_null_ptr
    type(c_ptr) :: vectors = c_null_ptr
    integer(c_int32_t) :: order = 0
    integer(c_int32_t) :: order_hat = 0
    integer(c_int32_t) :: stages = 0
    integer(c_int32_t) :: n_par = 0
    type(c_ptr) :: par = c_null_ptr
    type(c_ptr) :: tab = c_null_ptr
    type(mf_sizes) :: sizes
    type(c_funptr) :: sizes_fn = c_null_funptr
    type(c_funptr) :: step = c_null_funptr
    type(c_funptr) :: dense = c_null_funptr
    type(c_funptr) :: begin = c_null_funptr
    type(c_funptr) :: update = c_null_funptr
    type(c_funptr) :: ask = c_null_funptr
    type(c_funptr) :: sweep = c_null_funptr
    type(c_funptr) :: start = c_null_funptr
    type(c_funptr) :: direct = c_null_funptr
    type(c_funptr) :: room = c_null_funptr
  end type mf_method

  type, bind(C) :: mf_run_options
    integer(c_int32_t) :: size = 0
    integer(c_int32_t) :: flags = 0
    real(c_double) :: t0 = 0
    real(c_double) :: dt = 0
    type(c_ptr) :: par = c_null_ptr
    real(c_double) :: rtol = 0
    real(c_double) :: atol = 0
    real(c_double) :: first_step = 0
    real(c_double) :: max_step = 0
    real(c_double) :: min_step = 0
  end type mf_run_options

  type, bind(C) :: mf_api
    integer(c_int32_t) :: abi = 0
    integer(c_int32_t) :: version = 0
    integer(c_int32_t) :: size = 0
    integer(c_int32_t) :: reserved = 0
    type(c_funptr) :: find = c_null_funptr
    type(c_funptr) :: row = c_null_funptr
    type(c_funptr) :: error_text = c_null_funptr
    type(c_funptr) :: defaults = c_null_funptr
    type(c_funptr) :: sizes = c_null_funptr
    type(c_funptr) :: step = c_null_funptr
    type(c_funptr) :: begin = c_null_funptr
    type(c_funptr) :: update = c_null_funptr
    type(c_funptr) :: interpolate = c_null_funptr
    type(c_funptr) :: run_new = c_null_funptr
    type(c_funptr) :: run_advance = c_null_funptr
    type(c_funptr) :: run_y = c_null_funptr
    type(c_funptr) :: run_save = c_null_funptr
    type(c_funptr) :: run_restore = c_null_funptr
    type(c_funptr) :: run_free = c_null_funptr
    type(c_funptr) :: ask = c_null_funptr
    type(c_funptr) :: start = c_null_funptr
    type(c_funptr) :: sweep = c_null_funptr
    type(c_funptr) :: loss = c_null_funptr
    type(c_funptr) :: integrate = c_null_funptr
    type(c_funptr) :: run_set = c_null_funptr
    type(c_funptr) :: version_text = c_null_funptr
    type(c_funptr) :: isa = c_null_funptr
    type(c_funptr) :: direct = c_null_funptr
    type(c_funptr) :: room = c_null_funptr
    type(c_funptr) :: descent_new = c_null_funptr
    type(c_funptr) :: descent_advance = c_null_funptr
    type(c_funptr) :: descent_x = c_null_funptr
    type(c_funptr) :: descent_save = c_null_funptr
    type(c_funptr) :: descent_restore = c_null_funptr
    type(c_funptr) :: descent_free = c_null_funptr
  end type mf_api

  abstract interface

    function mf_rhs_fn(t, y, dydt, n, ctx) bind(C) result(out)
      import
      real(c_double), value :: t
      real(c_double), intent(in) :: y(*)
      real(c_double), intent(inout) :: dydt(*)
      integer(c_intptr_t), value :: n
      type(c_ptr), value :: ctx
      integer(c_int) :: out
    end function

    function mf_solve_fn(t, gh, r, z, n, ctx) bind(C) result(out)
      import
      real(c_double), value :: t
      real(c_double), value :: gh
      real(c_double), intent(in) :: r(*)
      real(c_double), intent(inout) :: z(*)
      integer(c_intptr_t), value :: n
      type(c_ptr), value :: ctx
      integer(c_int) :: out
    end function

    function mf_lsolve_fn(t, gh, r, z, n, ctx) bind(C) result(out)
      import
      real(c_double), value :: t
      real(c_double), value :: gh
      real(c_double), intent(in) :: r(*)
      real(c_double), intent(inout) :: z(*)
      integer(c_intptr_t), value :: n
      type(c_ptr), value :: ctx
      integer(c_int) :: out
    end function

    function mf_value_grad_fn(c, value, grad, n, ctx) bind(C) result(out)
      import
      real(c_double), intent(in) :: c(*)
      type(c_ptr), value :: value
      type(c_ptr), value :: grad
      integer(c_intptr_t), value :: n
      type(c_ptr), value :: ctx
      integer(c_int) :: out
    end function

    function mf_accel_fn(t, x, v, a, n, ctx) bind(C) result(out)
      import
      real(c_double), value :: t
      real(c_double), intent(in) :: x(*)
      real(c_double), intent(in) :: v(*)
      real(c_double), intent(inout) :: a(*)
      integer(c_intptr_t), value :: n
      type(c_ptr), value :: ctx
      integer(c_int) :: out
    end function

    function mf_solve_accel_fn(t, w, xp, vp, bx, bv, q, a, n, ctx) bind(C) result(out)
      import
      real(c_double), value :: t
      real(c_double), value :: w
      real(c_double), intent(in) :: xp(*)
      real(c_double), intent(in) :: vp(*)
      real(c_double), value :: bx
      real(c_double), value :: bv
      type(c_ptr), value :: q
      real(c_double), intent(inout) :: a(*)
      integer(c_intptr_t), value :: n
      type(c_ptr), value :: ctx
      integer(c_int) :: out
    end function

    function mf_rhs_lanes_fn(t, y, dydt, n, lanes, ctx) bind(C) result(out)
      import
      real(c_double), intent(in) :: t(*)
      real(c_double), intent(in) :: y(*)
      real(c_double), intent(inout) :: dydt(*)
      integer(c_intptr_t), value :: n
      integer(c_intptr_t), value :: lanes
      type(c_ptr), value :: ctx
      integer(c_int) :: out
    end function

    function mf_energy_fn(t0, y0, t1, y1, e, n, ctx) bind(C) result(out)
      import
      real(c_double), value :: t0
      type(c_ptr), value :: y0
      real(c_double), value :: t1
      type(c_ptr), intent(in) :: y1(*)
      real(c_double), intent(inout) :: e(*)
      integer(c_intptr_t), value :: n
      type(c_ptr), value :: ctx
      integer(c_int) :: out
    end function

    function mf_jac_fn(t, y, jac, n, ctx) bind(C) result(out)
      import
      real(c_double), value :: t
      real(c_double), intent(in) :: y(*)
      real(c_double), intent(inout) :: jac(*)
      integer(c_intptr_t), value :: n
      type(c_ptr), value :: ctx
      integer(c_int) :: out
    end function

    function mf_solve_system_fn(tab, t, h, y, Z, ld, n, ctx) bind(C) result(out)
      import
      type(c_ptr), value :: tab
      real(c_double), value :: t
      real(c_double), value :: h
      real(c_double), intent(in) :: y(*)
      real(c_double), intent(inout) :: Z(*)
      integer(c_intptr_t), value :: ld
      integer(c_intptr_t), value :: n
      type(c_ptr), value :: ctx
      integer(c_int) :: out
    end function

    function mf_mass_fn(v, Mv, n, ctx) bind(C) result(out)
      import
      real(c_double), intent(in) :: v(*)
      real(c_double), intent(inout) :: Mv(*)
      integer(c_intptr_t), value :: n
      type(c_ptr), value :: ctx
      integer(c_int) :: out
    end function

    function mf_mass_at_fn(t, v, Mv, n, ctx) bind(C) result(out)
      import
      real(c_double), value :: t
      real(c_double), intent(in) :: v(*)
      real(c_double), intent(inout) :: Mv(*)
      integer(c_intptr_t), value :: n
      type(c_ptr), value :: ctx
      integer(c_int) :: out
    end function

    function mf_linearize_fn(t, gh, y, dfdt, n, ctx) bind(C) result(out)
      import
      real(c_double), value :: t
      real(c_double), value :: gh
      real(c_double), intent(in) :: y(*)
      real(c_double), intent(inout) :: dfdt(*)
      integer(c_intptr_t), value :: n
      type(c_ptr), value :: ctx
      integer(c_int) :: out
    end function

    function mf_hessp_fn(x, p, Hp, n, ctx) bind(C) result(out)
      import
      real(c_double), intent(in) :: x(*)
      real(c_double), intent(in) :: p(*)
      real(c_double), intent(inout) :: Hp(*)
      integer(c_intptr_t), value :: n
      type(c_ptr), value :: ctx
      integer(c_int) :: out
    end function

    function mf_sizes_fn(method, par, sizes) bind(C) result(out)
      import
      type(c_ptr), value :: method
      real(c_double), intent(in) :: par(*)
      type(mf_sizes), intent(inout) :: sizes
      integer(c_int) :: out
    end function

    function mf_step_fn(method, frame) bind(C) result(out)
      import
      type(c_ptr), value :: method
      type(mf_frame), intent(inout) :: frame
      integer(c_int) :: out
    end function

    function mf_begin_fn(method, par, k, scal, coef) bind(C) result(out)
      import
      type(c_ptr), value :: method
      real(c_double), intent(in) :: par(*)
      integer(c_int64_t), value :: k
      real(c_double), intent(inout) :: scal(*)
      real(c_double), intent(inout) :: coef(*)
      integer(c_int) :: out
    end function

    function mf_update_fn(method, coef, gscale, lo, hi, x, g) bind(C) result(out)
      import
      type(c_ptr), value :: method
      real(c_double), intent(in) :: coef(*)
      real(c_double), value :: gscale
      integer(c_intptr_t), value :: lo
      integer(c_intptr_t), value :: hi
      type(c_ptr), intent(in) :: x(*)
      real(c_double), intent(in) :: g(*)
      integer(c_int) :: out
    end function

    function mf_ask_fn(method, coef, lo, hi, x, at) bind(C) result(out)
      import
      type(c_ptr), value :: method
      real(c_double), intent(in) :: coef(*)
      integer(c_intptr_t), value :: lo
      integer(c_intptr_t), value :: hi
      type(c_ptr), intent(in) :: x(*)
      real(c_double), intent(inout) :: at(*)
      integer(c_int) :: out
    end function

    function mf_sweep_fn(method, par, sweep) bind(C) result(out)
      import
      type(c_ptr), value :: method
      real(c_double), intent(in) :: par(*)
      type(mf_sweep), intent(inout) :: sweep
      integer(c_int) :: out
    end function

    function mf_start_fn(method, par, lo, hi, x) bind(C) result(out)
      import
      type(c_ptr), value :: method
      real(c_double), intent(in) :: par(*)
      integer(c_intptr_t), value :: lo
      integer(c_intptr_t), value :: hi
      type(c_ptr), intent(in) :: x(*)
      integer(c_int) :: out
    end function

    function mf_direct_fn(method, direction) bind(C) result(out)
      import
      type(c_ptr), value :: method
      type(c_ptr), value :: direction
      integer(c_int) :: out
    end function

    function mf_room_fn(method, par, n, bounded, kept, work) bind(C) result(out)
      import
      type(c_ptr), value :: method
      real(c_double), intent(in) :: par(*)
      integer(c_intptr_t), value :: n
      integer(c_int), value :: bounded
      integer(c_int64_t), intent(out) :: kept
      integer(c_int64_t), intent(out) :: work
      integer(c_int) :: out
    end function

    function mf_find_i(name) bind(C) result(out)
      import
      character(kind=c_char), intent(in) :: name(*)
      type(c_ptr) :: out
    end function

    function mf_row_i(i) bind(C) result(out)
      import
      integer(c_int), value :: i
      type(c_ptr) :: out
    end function

    function mf_error_text_i(code) bind(C) result(out)
      import
      integer(c_int), value :: code
      type(c_ptr) :: out
    end function

    function mf_defaults_i(method, par) bind(C) result(out)
      import
      type(c_ptr), value :: method
      real(c_double), intent(inout) :: par(*)
      integer(c_int) :: out
    end function

    function mf_get_sizes_i(method, par, sizes) bind(C) result(out)
      import
      type(c_ptr), value :: method
      real(c_double), intent(in) :: par(*)
      type(mf_sizes), intent(inout) :: sizes
      integer(c_int) :: out
    end function

    function mf_step_i(method, frame) bind(C) result(out)
      import
      type(c_ptr), value :: method
      type(mf_frame), intent(inout) :: frame
      integer(c_int) :: out
    end function

    function mf_begin_i(method, par, k, scal, coef) bind(C) result(out)
      import
      type(c_ptr), value :: method
      real(c_double), intent(in) :: par(*)
      integer(c_int64_t), value :: k
      real(c_double), intent(inout) :: scal(*)
      real(c_double), intent(inout) :: coef(*)
      integer(c_int) :: out
    end function

    function mf_update_i(method, coef, gscale, lo, hi, x, g) bind(C) result(out)
      import
      type(c_ptr), value :: method
      real(c_double), intent(in) :: coef(*)
      real(c_double), value :: gscale
      integer(c_intptr_t), value :: lo
      integer(c_intptr_t), value :: hi
      type(c_ptr), intent(in) :: x(*)
      real(c_double), intent(in) :: g(*)
      integer(c_int) :: out
    end function

    function mf_interpolate_i(method, frame, theta, y) bind(C) result(out)
      import
      type(c_ptr), value :: method
      type(mf_frame), intent(inout) :: frame
      real(c_double), value :: theta
      real(c_double), intent(inout) :: y(*)
      integer(c_int) :: out
    end function

    function mf_run_new_i(method, problem, run_options, y0, err) bind(C) result(out)
      import
      type(c_ptr), value :: method
      type(mf_problem), intent(in) :: problem
      type(mf_run_options), intent(in) :: run_options
      type(c_ptr), intent(in) :: y0(*)
      integer(c_int), intent(out) :: err
      type(c_ptr) :: out
    end function

    function mf_run_advance_i(run, t_end, max_steps) bind(C) result(out)
      import
      type(c_ptr), value :: run
      real(c_double), value :: t_end
      integer(c_int64_t), value :: max_steps
      integer(c_int) :: out
    end function

    function mf_run_y_i(run, t, k) bind(C) result(out)
      import
      type(c_ptr), value :: run
      real(c_double), intent(out) :: t
      integer(c_int64_t), intent(out) :: k
      type(c_ptr) :: out
    end function

    function mf_run_save_i(run, buf, room) bind(C) result(out)
      import
      type(c_ptr), value :: run
      type(c_ptr), value :: buf
      integer(c_int64_t), value :: room
      integer(c_int64_t) :: out
    end function

    function mf_run_restore_i(run, buf, bytes) bind(C) result(out)
      import
      type(c_ptr), value :: run
      type(c_ptr), value :: buf
      integer(c_int64_t), value :: bytes
      integer(c_int) :: out
    end function

    subroutine mf_run_free_i(run) bind(C)
      import
      type(c_ptr), value :: run
    end subroutine

    function mf_ask_i(method, coef, lo, hi, x, at) bind(C) result(out)
      import
      type(c_ptr), value :: method
      real(c_double), intent(in) :: coef(*)
      integer(c_intptr_t), value :: lo
      integer(c_intptr_t), value :: hi
      type(c_ptr), intent(in) :: x(*)
      real(c_double), intent(inout) :: at(*)
      integer(c_int) :: out
    end function

    function mf_start_i(method, par, lo, hi, x) bind(C) result(out)
      import
      type(c_ptr), value :: method
      real(c_double), intent(in) :: par(*)
      integer(c_intptr_t), value :: lo
      integer(c_intptr_t), value :: hi
      type(c_ptr), intent(in) :: x(*)
      integer(c_int) :: out
    end function

    function mf_do_sweep_i(method, par, sweep) bind(C) result(out)
      import
      type(c_ptr), value :: method
      real(c_double), intent(in) :: par(*)
      type(mf_sweep), intent(inout) :: sweep
      integer(c_int) :: out
    end function

    function mf_find_loss_i(name) bind(C) result(out)
      import
      character(kind=c_char), intent(in) :: name(*)
      type(c_ptr) :: out
    end function

    function mf_integrate_i(method, problem, run_options, t_end, max_steps, y) bind(C) result(out)
      import
      type(c_ptr), value :: method
      type(mf_problem), intent(in) :: problem
      type(mf_run_options), intent(in) :: run_options
      real(c_double), value :: t_end
      integer(c_int64_t), value :: max_steps
      type(c_ptr), intent(in) :: y(*)
      integer(c_int) :: out
    end function

    function mf_run_set_i(run, t, y) bind(C) result(out)
      import
      type(c_ptr), value :: run
      real(c_double), value :: t
      type(c_ptr), intent(in) :: y(*)
      integer(c_int) :: out
    end function

    function mf_version_text_i() bind(C) result(out)
      import
      type(c_ptr) :: out
    end function

    function mf_isa_i() bind(C) result(out)
      import
      type(c_ptr) :: out
    end function

    function mf_direct_i(method, direction) bind(C) result(out)
      import
      type(c_ptr), value :: method
      type(c_ptr), value :: direction
      integer(c_int) :: out
    end function

    function mf_room_i(method, par, n, bounded, kept, work) bind(C) result(out)
      import
      type(c_ptr), value :: method
      real(c_double), intent(in) :: par(*)
      integer(c_intptr_t), value :: n
      integer(c_int), value :: bounded
      integer(c_int64_t), intent(out) :: kept
      integer(c_int64_t), intent(out) :: work
      integer(c_int) :: out
    end function

    function mf_descent_new_i(method, problem, descent_options, x0, err) bind(C) result(out)
      import
      type(c_ptr), value :: method
      type(mf_problem), intent(in) :: problem
      type(c_ptr), value :: descent_options
      real(c_double), intent(in) :: x0(*)
      integer(c_int), intent(out) :: err
      type(c_ptr) :: out
    end function

    function mf_descent_advance_i(descent, max_iter, gtol) bind(C) result(out)
      import
      type(c_ptr), value :: descent
      integer(c_int64_t), value :: max_iter
      real(c_double), value :: gtol
      integer(c_int) :: out
    end function

    function mf_descent_x_i(descent, value, gmax, nit, nfev) bind(C) result(out)
      import
      type(c_ptr), value :: descent
      real(c_double), intent(inout) :: value(*)
      real(c_double), intent(inout) :: gmax(*)
      integer(c_int64_t), intent(out) :: nit
      integer(c_int64_t), intent(out) :: nfev
      type(c_ptr) :: out
    end function

    function mf_descent_save_i(descent, buf, room) bind(C) result(out)
      import
      type(c_ptr), value :: descent
      type(c_ptr), value :: buf
      integer(c_int64_t), value :: room
      integer(c_int64_t) :: out
    end function

    function mf_descent_restore_i(descent, buf, bytes) bind(C) result(out)
      import
      type(c_ptr), value :: descent
      type(c_ptr), value :: buf
      integer(c_int64_t), value :: bytes
      integer(c_int) :: out
    end function

    subroutine mf_descent_free_i(descent) bind(C)
      import
      type(c_ptr), value :: descent
    end subroutine

  end interface

  procedure(mf_find_i), pointer :: mf_find => null()
  procedure(mf_row_i), pointer :: mf_row => null()
  procedure(mf_error_text_i), pointer :: mf_error_text => null()
  procedure(mf_defaults_i), pointer :: mf_defaults => null()
  procedure(mf_get_sizes_i), pointer :: mf_get_sizes => null()
  procedure(mf_step_i), pointer :: mf_step => null()
  procedure(mf_begin_i), pointer :: mf_begin => null()
  procedure(mf_update_i), pointer :: mf_update => null()
  procedure(mf_interpolate_i), pointer :: mf_interpolate => null()
  procedure(mf_run_new_i), pointer :: mf_run_new => null()
  procedure(mf_run_advance_i), pointer :: mf_run_advance => null()
  procedure(mf_run_y_i), pointer :: mf_run_y => null()
  procedure(mf_run_save_i), pointer :: mf_run_save => null()
  procedure(mf_run_restore_i), pointer :: mf_run_restore => null()
  procedure(mf_run_free_i), pointer :: mf_run_free => null()
  procedure(mf_ask_i), pointer :: mf_ask => null()
  procedure(mf_start_i), pointer :: mf_start => null()
  procedure(mf_do_sweep_i), pointer :: mf_do_sweep => null()
  procedure(mf_find_loss_i), pointer :: mf_find_loss => null()
  procedure(mf_integrate_i), pointer :: mf_integrate => null()
  procedure(mf_run_set_i), pointer :: mf_run_set => null()
  procedure(mf_version_text_i), pointer :: mf_version_text => null()
  procedure(mf_isa_i), pointer :: mf_isa => null()
  procedure(mf_direct_i), pointer :: mf_direct => null()
  procedure(mf_room_i), pointer :: mf_room => null()
  procedure(mf_descent_new_i), pointer :: mf_descent_new => null()
  procedure(mf_descent_advance_i), pointer :: mf_descent_advance => null()
  procedure(mf_descent_x_i), pointer :: mf_descent_x => null()
  procedure(mf_descent_save_i), pointer :: mf_descent_save => null()
  procedure(mf_descent_restore_i), pointer :: mf_descent_restore => null()
  procedure(mf_descent_free_i), pointer :: mf_descent_free => null()

contains

  ! Takes the table at this address: MF_OK, or MF_E_VERSION where the library is older than this file.
  integer(c_int) function mf_use(table) result(status)
    type(c_ptr), value :: table
    type(mf_api), pointer :: api
    status = MF_E_ARGUMENT
    if (.not. c_associated(table)) return
    call c_f_pointer(table, api)
    status = MF_E_VERSION
    if (api%abi /= MF_ABI .or. api%version < MF_API_VERSION) return
    call c_f_procpointer(api%find, mf_find)
    call c_f_procpointer(api%row, mf_row)
    call c_f_procpointer(api%error_text, mf_error_text)
    call c_f_procpointer(api%defaults, mf_defaults)
    call c_f_procpointer(api%sizes, mf_get_sizes)
    call c_f_procpointer(api%step, mf_step)
    call c_f_procpointer(api%begin, mf_begin)
    call c_f_procpointer(api%update, mf_update)
    call c_f_procpointer(api%interpolate, mf_interpolate)
    call c_f_procpointer(api%run_new, mf_run_new)
    call c_f_procpointer(api%run_advance, mf_run_advance)
    call c_f_procpointer(api%run_y, mf_run_y)
    call c_f_procpointer(api%run_save, mf_run_save)
    call c_f_procpointer(api%run_restore, mf_run_restore)
    call c_f_procpointer(api%run_free, mf_run_free)
    call c_f_procpointer(api%ask, mf_ask)
    call c_f_procpointer(api%start, mf_start)
    call c_f_procpointer(api%sweep, mf_do_sweep)
    call c_f_procpointer(api%loss, mf_find_loss)
    call c_f_procpointer(api%integrate, mf_integrate)
    call c_f_procpointer(api%run_set, mf_run_set)
    call c_f_procpointer(api%version_text, mf_version_text)
    call c_f_procpointer(api%isa, mf_isa)
    call c_f_procpointer(api%direct, mf_direct)
    call c_f_procpointer(api%room, mf_room)
    call c_f_procpointer(api%descent_new, mf_descent_new)
    call c_f_procpointer(api%descent_advance, mf_descent_advance)
    call c_f_procpointer(api%descent_x, mf_descent_x)
    call c_f_procpointer(api%descent_save, mf_descent_save)
    call c_f_procpointer(api%descent_restore, mf_descent_restore)
    call c_f_procpointer(api%descent_free, mf_descent_free)
    status = MF_OK
  end function

  type(mf_problem) function mf_new_problem() result(made)
    made%size = int(c_sizeof(made), c_int32_t)
  end function

  type(mf_frame) function mf_new_frame() result(made)
    made%size = int(c_sizeof(made), c_int32_t)
  end function

  type(mf_run_options) function mf_new_run_options() result(made)
    made%size = int(c_sizeof(made), c_int32_t)
  end function

  type(mf_sweep) function mf_new_sweep() result(made)
    made%size = int(c_sizeof(made), c_int32_t)
  end function


  ! A text of the library, such as mf_error_text(code), as Fortran has it.
  function mf_text(address) result(text)
    type(c_ptr), intent(in) :: address
    character(:), allocatable :: text
    character(kind=c_char), pointer :: at(:)
    integer :: i, n
    text = ""
    if (.not. c_associated(address)) return
    call c_f_pointer(address, at, [huge(0)])
    n = 0
    do while (at(n + 1) /= c_null_char)
      n = n + 1
    end do
    text = repeat(" ", n)
    do i = 1, n
      text(i:i) = at(i)
    end do
  end function

end module mflow

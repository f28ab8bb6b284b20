! Van der Pol's oscillator from Fortran: a span under error control, an implicit method, and a loop of the host's own over steps in place.
module vanderpol
  use mflow
  implicit none
contains

  integer(c_int) function slope(t, y, dydt, n, ctx) bind(C) result(status)
    real(c_double), value :: t
    real(c_double), intent(in) :: y(*)
    real(c_double), intent(inout) :: dydt(*)
    integer(c_intptr_t), value :: n
    type(c_ptr), value :: ctx
    real(c_double), pointer :: mu
    call c_f_pointer(ctx, mu)
    status = merge(MF_OK, MF_E_ARGUMENT, n == 2 .and. t == t)
    dydt(1) = y(2)
    dydt(2) = mu * (1 - y(1)**2) * y(2) - y(1)
  end function

  ! y(t_end) by any method; tolerances 0: fixed steps of dt.
  subroutine span(method, mu, tolerance, dt, t_end, y)
    character(*), intent(in) :: method
    real(c_double), target, intent(in) :: mu
    real(c_double), intent(in) :: tolerance, dt, t_end
    real(c_double), target, intent(inout) :: y(2)
    type(mf_problem) :: problem
    type(mf_run_options) :: options
    integer(c_int) :: status
    problem = mf_new_problem()
    problem%n = 2
    problem%rhs = c_funloc(slope)
    problem%ctx = c_loc(mu)
    options = mf_new_run_options()
    options%rtol = tolerance
    options%atol = tolerance
    options%dt = dt
    status = mf_integrate(mf_find(method // c_null_char), problem, options, t_end, 1000000_c_int64_t, [c_loc(y)])
    print "(a12, a, 2f16.10, 2a)", method, ": ", y, "  ", mf_text(mf_error_text(status))
    if (status /= MF_OK) error stop 1
  end subroutine

  ! The host's own loop: rk4, y in place.
  subroutine steps(mu, dt, count, y)
    real(c_double), target, intent(in) :: mu
    real(c_double), intent(in) :: dt
    integer, intent(in) :: count
    real(c_double), target, intent(inout) :: y(2)
    type(mf_problem), target :: problem
    type(mf_frame) :: frame
    type(mf_sizes) :: sizes
    type(c_ptr) :: method
    type(c_ptr), target :: vectors(1)
    real(c_double), target :: par(1)
    real(c_double), allocatable, target :: work(:)
    integer :: k
    method = mf_find("rk4" // c_null_char)
    par = 0
    if (mf_get_sizes(method, par, sizes) /= MF_OK) error stop 2
    allocate(work(8 * sizes%n_work))
    vectors(1) = c_loc(y)
    problem = mf_new_problem()
    problem%n = 2
    problem%rhs = c_funloc(slope)
    problem%ctx = c_loc(mu)
    frame = mf_new_frame()
    frame%n = 2
    frame%ld = 8
    frame%h = dt
    frame%x0 = c_loc(vectors)
    frame%x1 = c_loc(vectors)
    frame%par = c_loc(par)
    frame%work = c_loc(work)
    frame%p = c_loc(problem)
    do k = 0, count - 1
      frame%k = k
      frame%t = k * dt
      if (mf_step(method, frame) /= MF_OK) error stop 3
    end do
    print "(a12, a, 2f16.10)", "own loop", ": ", y
  end subroutine

end module vanderpol

program oscillator
  use vanderpol
  use mflow_python
  implicit none
  real(c_double), target :: mu, a(2), b(2), c(2)
  type(c_ptr) :: thread
  call Py_InitializeEx(0_c_int)
  if (mflow_import() /= MF_OK) error stop 4
  thread = PyEval_SaveThread()
  mu = 1
  a = [2, 0]
  b = a
  c = a
  call span("dopri5", mu, 1d-10, 0d0, 10d0, a)
  call span("rk4", mu, 0d0, 1d-3, 10d0, b)
  call steps(mu, 1d-3, 10000, c)
  if (maxval(abs(a - b)) > 1d-7 .or. any(b /= c)) error stop 5
  mu = 1000
  a = [2, 0]
  call span("esdirk43", mu, 1d-8, 0d0, 100d0, a)         ! stiff: the library brings Newton's iteration
  ! On the slow manifold  log|x| - x^2/2 = t/mu + const, to the order of 1/mu^2.
  if (abs(log(a(1)) - a(1)**2 / 2 - (log(2d0) - 2) - 0.1d0) > 1d-4) error stop 6
  call PyEval_RestoreThread(thread)
  if (Py_FinalizeEx() /= 0) error stop 7
end program oscillator

/* mflow.h: the C face of mflow. C99 and C++17; includes no Python and does no arithmetic (a host's flags must not reach our bits).

   Growth: fields are appended, never moved. A struct that the host makes starts with `size` (use MF_INIT); a struct that the library
   makes is reached by pointer only, never as an array (records are not contiguous for a host built against a smaller record).

   Every vector is n contiguous doubles. Every status is an int: 0 go on, > 0 recoverable, < 0 over (MF_E_... or a callback's own code). */
#ifndef MFLOW_H
#define MFLOW_H
#include <stddef.h>
#include <stdint.h>
/* mf_problem p = MF_INIT(mf_problem): size is filled in, the rest is zero. Every struct that a host makes begins with size and flags. */
#ifdef __cplusplus
extern "C++" { template <class T> inline T mf_made() { T made{}; made.size = (uint32_t)sizeof(T); return made; } }
#define MF_INIT(T) mf_made<T>()
extern "C" {
#else
#define MF_INIT(T) { .size = (uint32_t)sizeof(T) }
#endif
#define MF_ABI 1           /* host and library must be equal: changes only if something published changes meaning */
#define MF_API_VERSION 5   /* library must be >= host: +1 for every append */
#define MF_HAS(s, T, field) ((s)->size >= offsetof(T, field) + sizeof((s)->field))   /* before reading a field appended later */

/* ---- status codes of the library; a callback's own negative codes should lie in -999..-1 ---- */
enum {
  MF_OK = 0,
  MF_E_ARGUMENT = -1001,       /* an argument is NULL, out of range or of the wrong size */
  MF_E_CALLBACK = -1002,       /* the method needs a callback that the problem leaves NULL */
  MF_E_MEMORY = -1003,
  MF_E_BUSY = -1004,           /* the run is in use by another thread, or was entered again from its own callback */
  MF_E_NON_FINITE = -1005,     /* a state, slope or gradient is NaN or infinite: the last good step is kept */
  MF_E_PARAMETER = -1006,      /* a parameter lies outside its bounds, or two of them clash */
  MF_E_VERSION = -1007,        /* the host was built against a newer header */
  MF_E_KIND = -1008,           /* the method cannot do this: tolerances where it has no error estimate, an update where it takes steps, ... */
  MF_E_DAMAGED = -1009,        /* a saved state is damaged, or belongs to another method or size */
  MF_E_SOLVE = -1010,          /* an implicit step's equation was not solved, at no step that was tried */
  MF_E_STEP = -1011,           /* the step that the tolerances need is too small to move t */
  MF_E_STEPS = -1012,          /* the limit on the number of steps was reached */
  MF_E_SEARCH = -1013          /* a descent: no step from here lowers the cost as the rule asks; often its last digits are spent */
};
enum {                         /* > 0, as any recoverable code: a smaller step may help */
  MF_RETRY_SOLVE = 1001,       /* a solver of the library did not converge */
  MF_RETRY_NON_FINITE = 1002   /* it met a slope that is not finite */
};

/* ---- callbacks: 0 go on, > 0 recoverable (retry with a smaller step), < 0 give up: after that no callback is called again ---- */
typedef int (*mf_rhs_fn)(double t, const double *y, double *dydt, ptrdiff_t n, void *ctx);
typedef int (*mf_solve_fn)(double t, double gh, const double *r, double *z, ptrdiff_t n, void *ctx);   /* z - gh f(t,z) = r; z: guess in */
typedef int (*mf_lsolve_fn)(double t, double gh, const double *r, double *z, ptrdiff_t n, void *ctx);  /* (I - gh J) z = r, last J */
typedef int (*mf_value_grad_fn)(const double *c, double *value, double *grad, ptrdiff_t n, void *ctx); /* either output may be NULL */
typedef int (*mf_accel_fn)(double t, const double *x, const double *v, double *a, ptrdiff_t n, void *ctx);
typedef int (*mf_solve_accel_fn)(double t, double w, const double *xp, const double *vp, double bx, double bv, const double *q,
                                 double *a, ptrdiff_t n, void *ctx);   /* a = w M^-1 F(t, xp + bx a, vp + bv a) + q; q may be NULL; a: guess in */
/* A lane is the place of one trajectory in a SIMD block: component i of lane l is y[i*lanes + l]; lanes is a multiple of 8, the tail filled
   with copies of a live lane; t[l] own time;
   parameter j of lane l, where the host gave any, is y[(n + j)*lanes + l] */
typedef int (*mf_rhs_lanes_fn)(const double *t, const double *y, double *dydt, ptrdiff_t n, ptrdiff_t lanes, void *ctx);
/* y0/y1 are the method's visible vectors (x, v, a) at both ends of accepted steps. y0 NULL: set e[0] kinetic and e[1] potential energy at y1 (asked
   only where energies are saved, and of differences of states). Else add this step's work of the load to e[2], what damping took to e[3]. */
typedef int (*mf_energy_fn)(double t0, const double *const *y0, double t1, const double *const *y1, double *e, ptrdiff_t n, void *ctx);
/* J[i*n + j] = d f_i / d y_j */
typedef int (*mf_jac_fn)(double t, const double *y, double *jac, ptrdiff_t n, void *ctx);
/* Coupled stages: Z_i = h sum_j A[i][j] f(t + c[j] h, y + Z_j) for all i together; Z_i stands at Z + i*ld, a guess in. `tab` holds A, its
   inverse, and the T that splits the linear equations into a real and complex ones. */
struct mf_tableau;
typedef int (*mf_solve_system_fn)(const struct mf_tableau *tab, double t, double h, const double *y, double *Z, ptrdiff_t ld, ptrdiff_t n, void *ctx);
typedef int (*mf_mass_fn)(const double *v, double *Mv, ptrdiff_t n, void *ctx);       /* Mv = M v, M constant; it may be singular */
typedef int (*mf_mass_at_fn)(double t, const double *v, double *Mv, ptrdiff_t n, void *ctx);            /* Mv = M(t) v */
/* J at (t, y), made anew where either has moved, and what lsolve needs for this gh; dfdt: f(t, y) in, its partial derivative by t out */
typedef int (*mf_linearize_fn)(double t, double gh, const double *y, double *dfdt, ptrdiff_t n, void *ctx);

enum { MF_VELOCITY_FREE = 1,          /* mf_problem.flags: accel does not depend on v */
       MF_ELEMENTWISE = 2 };           /* version 5: dydt[i] follows from t, y[i] and ctx, whatever i is. Explicit steps of long states are then
                                          cut into pieces: rhs is called with n of a piece and its place in y, in several threads at once
                                          where MFLOW_THREADS says so */
typedef struct mf_problem {            /* made by the host; one per run, because ctx holds that run's views */
  uint32_t size, flags;
  ptrdiff_t n;
  void *ctx;
  mf_rhs_fn rhs;  mf_solve_fn solve;  mf_lsolve_fn lsolve;
  mf_value_grad_fn value_grad;
  mf_accel_fn accel;  mf_solve_accel_fn solve_accel;
  mf_rhs_lanes_fn rhs_lanes;
  mf_energy_fn energy;
  mf_jac_fn jac;                       /* version 2 */
  mf_solve_system_fn solve_system;     /* version 5: methods whose tableau has A_inv; they call lsolve too where an error is asked for */
  mf_mass_fn mass;                     /* version 5. M y' = f(t, y), for methods with MF_MASS; NULL: M = I. Where it is there, solve is not
                                          called, lsolve is (M - gh J) z = r, and solve_system is M Z_i = h sum_j A[i][j] f(...); without
                                          solve_mass and solve_system a run makes M of n calls and solves the equations itself */
  mf_solve_fn solve_mass;              /* version 5. M z - gh f(t, z) = r; z: guess in */
  mf_linearize_fn linearize;           /* version 5: methods whose tableau has G call it at the start of a step, and then lsolve */
  mf_mass_at_fn mass_at;               /* version 5. M(t) y' = f(t, y), for methods with MF_MASS_AT; mass is there too, and not called */
} mf_problem;

/* ---- the method record ---- */
typedef struct mf_method mf_method;
enum { MF_REAL = 0, MF_BOOL = 1, MF_INT = 2, MF_CHOICE = 3 };
enum { MF_LOWER_OPEN = 1, MF_UPPER_OPEN = 2 };
typedef struct mf_param {
  const char *name;                    /* "betas[0]", "betas[1]": one tuple `betas` in Python */
  double value, lower, upper;          /* default and bounds; MF_CHOICE: index into choices */
  int32_t kind, open;                  /* open: MF_LOWER_OPEN | MF_UPPER_OPEN */
  const char *choices, *doc;           /* "explicit|implicit" */
} mf_param;

typedef struct mf_sizes {              /* vectors of n doubles, unless said; all may depend on the parameters, none on the step */
  int32_t n_vis;                       /* visible vectors: 1 (y or c), 3 in second order (x, v, a) */
  int32_t n_vec;                       /* carried vectors, the visible ones first (FSAL slope, m, v, ...) */
  int32_t n_scal;                      /* carried scalars (running products, step counts) */
  int32_t n_coef;                      /* numbers that `begin` writes. Optimizers: for `update`. Second order: 4, beta, gamma, alpha_m, alpha_f
                                          of the generalised alpha method that this is; 0: it is none */
  int32_t n_work, n_err, n_dense;      /* scratch, error estimates, interpolant vectors */
  int32_t order;                       /* for these parameters; 0: `order` of the record */
  int64_t work_extra;                  /* doubles of scratch that do not scale with n */
} mf_sizes;

typedef struct mf_tableau {            /* stored forms only; everything else is derived */
  int32_t s, n_hat, degree, reserved;  /* stages; error rows; degree of the interpolant in theta */
  const double *A, *b, *c, *d;         /* s x s, s, s; d: n_hat x s, b - bhat */
  const double *alpha, *beta;          /* Shu-Osher, (s + 1) x s, row i makes stage i (row s the result); then A and b are NULL */
  const double *W;                     /* n_dense x degree: y(theta) = y0 + sum_j (sum_k W[j][k] theta^(k+1)) D_j */
  const void *packed;                  /* private: the nonzeros of each stage, derived once at import */
  const double *A_inv, *T, *T_inv, *mu;   /* version 5. Coupled stages, else NULL: A_inv = T L T_inv, s x s each; L has mu[0] and then, for each
                                          complex pair mu[1] +- i mu[2], ..., the block [[mu[1], -mu[2]], [mu[2], mu[1]]] on its diagonal */
  const double *G;                     /* version 5. Rosenbrock methods, else NULL: gamma_ij, s x s: M k_i = h f(t + c_i h, y + sum_j A_ij k_j)
                                          + h J sum_j G_ij k_j + h^2 (sum_j G_ij) f_t, y+ = y + sum_i b_i k_i */
} mf_tableau;

enum { MF_FRESH = 1,
       MF_AGAIN = 2 };                 /* mf_frame.flags. AGAIN: the first step, or one that follows a rejection: its error estimate deserves care */
typedef struct mf_frame {              /* one step as a kernel sees it. A step is a pure map (x0, s0) -> (x1, s1). */
  uint32_t size, flags;                /* FRESH: carried vectors beyond the visible ones are not filled (first step; y was changed) */
  ptrdiff_t n, ld;                     /* ld: stride of work, err and D, a multiple of 8, at least n */
  int64_t k;  double t, h, rho;        /* step index, time, step, spectral radius (methods with MF_NEEDS_RHO) */
  const double *par;
  const double *const *x0;  double *const *x1;       /* n_vec pointers each; x1[j] == x0[j] is allowed for every j (then no retry) */
  const double *s0;  double *s1;
  double *work, *err, *D;              /* err NULL: not asked for. work stays as step left it until the next step: `dense` reads it */
  const mf_problem *p;
  int64_t n_rhs, n_solve;              /* the kernel adds to these */
  /* version 5, for methods with MF_MULTISTEP, whose order varies. A step of another length than the one before rescales what it carries from x0
     into x1, element by element. */
  const double *rtol, *atol;  ptrdiff_t n_tol;       /* tolerances, 1 or n of each, by which order and step are chosen; NULL: neither is */
  double h_next;                       /* out: the step suggested for the next one, h if none is */
  int32_t order, order_next;           /* out: the order of this step, and of the next, which s1 holds */
} mf_frame;

typedef struct mf_loss mf_loss;        /* value, derivative, second derivative, exact proximal root: opaque here */
typedef struct mf_sweep {              /* implicit SGD: data in, weights in place */
  uint32_t size, flags;
  ptrdiff_t n, rows;  const double *X;  ptrdiff_t ldx;             /* dense, or NULL and CSR: */
  const int64_t *indptr;  const int32_t *indices;  const double *values;
  const double *label, *weight;  const int64_t *order;  ptrdiff_t count;   /* order NULL: 0..count-1; count = 1: a stream */
  const mf_loss *loss;  double *const *x;  double *scal;  double worst_phi;   /* after CSR rows the weights are scal[4] x[0] */
} mf_sweep;

enum { MF_IMPLICIT = 1, MF_LINEAR = 2, MF_SSP = 4, MF_SYMPLECTIC = 8, MF_FSAL = 16, MF_STIFFLY_ACCURATE = 32, MF_EMBEDDED = 64,
       MF_SECOND_ORDER = 128, MF_NEEDS_RHO = 256, MF_STAGED = 512 /* stages chosen at run time */,
       MF_DERIVED = 1024 /* carried vectors follow from the visible ones (FSAL): stability is probed on those alone, with FRESH */,
       MF_TRUST_REGION = 2048 /* a direction is tried as it is, and judged by its ratio: no line search */,
       MF_MULTISTEP = 4096 /* version 5: a step goes on from what several steps before have left in the carried vectors; no Runge-Kutta method */,
       MF_MASS = 8192 /* takes M y' = f(t, y), M singular too: the kernel knows `mass` */,
       MF_MASS_AT = 16384 /* and an M that depends on t, `mass_at` */ };
typedef int (*mf_hessp_fn)(const double *x, const double *p, double *Hp, ptrdiff_t n, void *ctx);       /* Hp = H(x) p */

/* Version 4: where a descent stands, from which a method makes its direction. d may be neither of the other arrays. */
typedef struct mf_direction {
  uint32_t size, flags;
  ptrdiff_t n;
  int64_t k;                           /* points accepted since the method began; 0: nothing is known but x and g */
  const double *par;
  const double *x, *g;                 /* the point and its gradient */
  const double *x_old, *g_old;         /* the point before, for k > 0 */
  const double *lower, *upper;         /* bounds, infinite where there is none; both NULL: none at all */
  double *kept, *work;                 /* as many numbers as `room` says. kept: zeros at k = 0, then as the method left it; saved */
  mf_hessp_fn hessp;  void *hessp_ctx; /* never NULL for MF_TRUST_REGION */
  double ratio;                        /* MF_TRUST_REGION: what the step before gained of what was predicted; NaN at k = 0's first call */
  double *d;                           /* out: the direction; MF_TRUST_REGION: the step */
  double first, c2;                    /* out: the step to try first and the curvature rule's constant; 0: the search's own */
  double gain, least;                  /* out, MF_TRUST_REGION: decrease predicted; the least ratio that is accepted */
} mf_direction;

typedef int (*mf_sizes_fn)(const mf_method *, const double *par, mf_sizes *);
typedef int (*mf_step_fn)(const mf_method *, mf_frame *);
typedef int (*mf_begin_fn)(const mf_method *, const double *par, int64_t k, double *scal, double *coef);
typedef int (*mf_update_fn)(const mf_method *, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi, double *const *x, const double *g);
typedef int (*mf_ask_fn)(const mf_method *, const double *coef, ptrdiff_t lo, ptrdiff_t hi, const double *const *x, double *at);
typedef int (*mf_sweep_fn)(const mf_method *, const double *par, mf_sweep *);
typedef int (*mf_start_fn)(const mf_method *, const double *par, ptrdiff_t lo, ptrdiff_t hi, double *const *x);
typedef int (*mf_direct_fn)(const mf_method *, mf_direction *);
typedef int (*mf_room_fn)(const mf_method *, const double *par, ptrdiff_t n, int bounded, int64_t *kept, int64_t *work);  /* doubles */
struct mf_method {                     /* made by the library, immutable after import, one address for the life of the process */
  uint32_t size, flags;
  const char *name, *class_name, *aliases, *family;    /* aliases "rk1|tvd_rk1"; class_name "RK4" */
  const char *formula, *doc, *reference;
  const char *vectors;                 /* names of the carried vectors, "c|m|v" */
  int32_t order, order_hat, stages, n_par;
  const mf_param *par;
  const mf_tableau *tab;
  mf_sizes sizes;
  mf_sizes_fn sizes_fn;                /* NULL: `sizes` as it stands. < 0: parameters clash */
  /* exactly one of step, update, sweep, direct. `begin` advances scal: test g for finite first, or keep a copy of scal */
  mf_step_fn step;
  mf_step_fn dense;                    /* after an accepted step, where needed: fills D (dop853: 3 more rhs). NULL: cubic Hermite */
  mf_begin_fn begin;                   /* once a step and group */
  mf_update_fn update;                 /* elementwise over lo..hi-1 */
  mf_ask_fn ask;                       /* NULL: the gradient is evaluated at x[0]; else at `at` (Nesterov, look-ahead) */
  mf_sweep_fn sweep;
  mf_start_fn start;                   /* first values of the carried vectors beyond the visible ones; NULL: zeros */
  mf_direct_fn direct;                 /* version 4: a direction of descent */
  mf_room_fn room;                     /* of a direction; < 0: bounds are given and it takes none */
};

/* ---- a run: a method, a problem and the buffers, stepped without Python ---- */
typedef struct mf_run mf_run;
typedef struct mf_run_options {        /* made by the host */
  uint32_t size, flags;
  double t0, dt;                       /* dt may be negative: backwards in time */
  const double *par;                   /* n_par values, NULL: the defaults */
  double rtol, atol;                   /* version 2. rtol + atol > 0: error control (methods with MF_EMBEDDED); both 0: fixed steps of dt */
  double first_step, max_step, min_step;   /* 0: estimated, none, none */
} mf_run_options;

/* ---- a descent: a method with `direct` or `update`, a cost and a line search. Version 4 ---- */
typedef struct mf_descent mf_descent;
enum { MF_SEARCH_EXACT = 0, MF_SEARCH_BACKTRACKING = 1, MF_SEARCH_ARMIJO = 2, MF_SEARCH_STRONG_WOLFE = 3 };
typedef struct mf_descent_options {    /* made by the host; MF_INIT and nothing else: strong Wolfe with its usual constants */
  uint32_t size, flags;
  const double *par;                   /* n_par values, NULL: the defaults (an optimizer's lr is 1: the search finds the step) */
  const double *lower, *upper;         /* n bounds each, copied; both NULL: none. For methods that take them (lbfgs) */
  mf_hessp_fn hessp;  void *hessp_ctx; /* NULL: differences of gradients, where a method needs products */
  int32_t search, reserved;            /* MF_SEARCH_...; read where flags has MF_SEARCH_GIVEN */
  double c1, c2, max_step;             /* 0: 1e-4, the method's (0.9), none */
} mf_descent_options;
enum { MF_SEARCH_GIVEN = 1 };          /* mf_descent_options.flags */

/* ---- the table: capsule "mflow_core.api._C_API" ---- */
typedef struct mf_api {
  uint32_t abi, version, size, reserved;
  const mf_method *(*find)(const char *name);                              /* name or alias, the active level; same pointer for ever */
  const mf_method *(*row)(int i);                                          /* NULL past the end */
  const char *(*error_text)(int code);
  int (*defaults)(const mf_method *, double *par);
  int (*sizes)(const mf_method *, const double *par, mf_sizes *);          /* checks the bounds of par */
  int (*step)(const mf_method *, mf_frame *);                              /* checks size and callbacks; then the method's step. Neither step nor
                            update looks whether numbers are finite: a run does */
  int (*begin)(const mf_method *, const double *par, int64_t k, double *scal, double *coef);
  int (*update)(const mf_method *, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi, double *const *x, const double *g);
  int (*interpolate)(const mf_method *, mf_frame *, double theta, double *y);   /* the step just taken, theta in [0, 1]; may call rhs */
  mf_run *(*run_new)(const mf_method *, const mf_problem *, const mf_run_options *, const double *const *y0, int *err);   /* y0: the visible vectors; a may be NULL */
  int (*run_advance)(mf_run *, double t_end, int64_t max_steps);           /* nogil; rejects a second thread and re-entry; 1: max_steps taken (INT64_MAX: no limit).
                            A callback's positive code, where no smaller step is left to try, is returned as MF_E_STEP */
  const double *const *(*run_y)(const mf_run *, double *t, int64_t *k);    /* visible vectors, good until the run goes on; NULL while it is in use */
  int64_t (*run_save)(const mf_run *, void *buf, int64_t room);            /* NULL buf: bytes needed. Little-endian, no padding, CRC */
  int (*run_restore)(mf_run *, const void *buf, int64_t bytes);
  void (*run_free)(mf_run *);                                              /* of a run in use: nothing is done, and nothing freed */
  /* version 3 */
  int (*ask)(const mf_method *, const double *coef, ptrdiff_t lo, ptrdiff_t hi, const double *const *x, double *at);  /* where g is evaluated */
  int (*start)(const mf_method *, const double *par, ptrdiff_t lo, ptrdiff_t hi, double *const *x);   /* fills the vectors beyond the visible ones */
  int (*sweep)(const mf_method *, const double *par, mf_sweep *);
  const mf_loss *(*loss)(const char *name);                                /* for sweep: "squared", "logistic", ...; NULL: there is none */
  int (*integrate)(const mf_method *, const mf_problem *, const mf_run_options *, double t_end, int64_t max_steps, double *const *y);
                           /* a run from t0 to t_end in one call. y: visible vectors, changed in place to the last good step whatever is returned */
  int (*run_set)(mf_run *, double t, const double *const *y);              /* goes on from another state: after an impact, a splitting step */
  const char *(*version_text)(void);                                       /* "0.1.0" */
  const char *(*isa)(void);                                                /* instruction-set level of the kernels: "v3" */
  /* version 4 */
  int (*direct)(const mf_method *, mf_direction *);                        /* checks size; then the method's direction */
  int (*room)(const mf_method *, const double *par, ptrdiff_t n, int bounded, int64_t *kept, int64_t *work);
  mf_descent *(*descent_new)(const mf_method *, const mf_problem *, const mf_descent_options *, const double *x0, int *err);
  int (*descent_advance)(mf_descent *, int64_t max_iter, double gtol);     /* 0: the largest entry of the (projected) gradient is at most gtol;
                            1: max_iter taken; MF_E_SEARCH; a cost's own code */
  const double *(*descent_x)(const mf_descent *, double *value, double *gmax, int64_t *nit, int64_t *nfev);   /* where it stands; after an
                            error the lowest point seen. Any output may be NULL; good until the descent goes on; NULL while it is in use */
  int64_t (*descent_save)(const mf_descent *, void *buf, int64_t room);    /* as run_save */
  int (*descent_restore)(mf_descent *, const void *buf, int64_t bytes);
  void (*descent_free)(mf_descent *);
} mf_api;
#ifdef __cplusplus
}
#endif
#endif

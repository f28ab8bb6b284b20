"""Threads inside a step: one pool for the process, which shares out the parts of a piece of work.

The parts are cut at bounds that do not depend on the number of threads, so neither do bits. Every thread begins with a run of parts of its
own, which stay in its cache from step to step, and goes on with what others have left; whoever asked works too. So a thread that the system
has not woken is not waited for: only parts that were begun are. A worker looks for work for some 50 us before it sleeps.

How many threads are used (the width) belongs to the thread that asks: 1 unless it was set, or MFLOW_THREADS is. Work that is shared out
while the pool is in use, from another thread or from a part, is done where it is asked for. A forked child has a pool of its own. Workers
take no signals. Where there are no POSIX threads every width is 1.
"""
from libc.stddef cimport ptrdiff_t
from libc.stdlib cimport free, malloc

from mflow_core.arithmetic.vec cimport mf_fp_enter, mf_fp_leave
from mflow_core.owner cimport mf_give, mf_take
from mflow_core.pool cimport part_fn

import os

cdef extern from *:
    """
    typedef void (*mf_part)(void *job, ptrdiff_t part);
    #if defined(__GNUC__) && !defined(_WIN32)
    #include <pthread.h>
    #include <sched.h>
    #include <signal.h>
    #if defined(__x86_64__) || defined(__i386__)
    #define mf_pause() __builtin_ia32_pause()
    #else
    #define mf_pause() __asm__ volatile("" ::: "memory")
    #endif
    enum { MF_MOST = 64, MF_SPINS = 3000 };
    typedef struct { ptrdiff_t next, end; char apart[112]; } mf_range;       /* of parts, on cache lines of its own */
    static struct {
      pthread_mutex_t lock;
      pthread_cond_t wake;
      mf_part work;
      void *job;
      int threads;                       /* of the job at hand */
      unsigned open;                     /* odd: there is a job that workers may enter */
      int busy, inside, asleep, workers, watched;
      mf_range of[MF_MOST];
    } mf_pool = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER};
    static _Thread_local int mf_width = 0;                                    /* 0: the default */

    static void mf_do_parts(int me, int threads) {
      for (int k = 0; k < threads; k++) {
        mf_range *range = &mf_pool.of[(me + k) % threads];
        ptrdiff_t part;
        while ((part = __atomic_fetch_add(&range->next, 1, __ATOMIC_RELAXED)) < range->end) mf_pool.work(mf_pool.job, part);
      }
    }
    static int mf_is_new(unsigned *open, unsigned seen) {
      *open = __atomic_load_n(&mf_pool.open, __ATOMIC_SEQ_CST);
      return (*open & 1) && *open != seen;
    }
    static unsigned mf_next_job(unsigned seen) {
      unsigned open;
      for (int k = 0; k < MF_SPINS; k++) {
        if (mf_is_new(&open, seen)) return open;
        mf_pause();
        if (k % 32 == 31) sched_yield();                                      /* where the asker waits for this very processor */
      }
      pthread_mutex_lock(&mf_pool.lock);
      __atomic_fetch_add(&mf_pool.asleep, 1, __ATOMIC_SEQ_CST);
      while (!mf_is_new(&open, seen)) pthread_cond_wait(&mf_pool.wake, &mf_pool.lock);
      __atomic_fetch_sub(&mf_pool.asleep, 1, __ATOMIC_SEQ_CST);
      pthread_mutex_unlock(&mf_pool.lock);
      return open;
    }
    static void *mf_worker(void *number) {
      int me = (int)(ptrdiff_t)number;
      unsigned open = 0;
      for (;;) {
        open = mf_next_job(open);
        /* The fields of a job change only while it is closed and nobody is inside. */
        __atomic_fetch_add(&mf_pool.inside, 1, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&mf_pool.open, __ATOMIC_SEQ_CST) == open && me < mf_pool.threads) {
          mf_fp_enter();                                                      /* in the asker's mode, whatever a part has set */
          mf_do_parts(me, mf_pool.threads);
        }
        __atomic_fetch_sub(&mf_pool.inside, 1, __ATOMIC_RELEASE);
      }
      return NULL;
    }
    static void mf_forked(void) {                                             /* in the child, which has none of the workers */
      pthread_mutex_init(&mf_pool.lock, NULL);
      pthread_cond_init(&mf_pool.wake, NULL);
      mf_pool.busy = mf_pool.inside = mf_pool.asleep = mf_pool.workers = 0;
      mf_pool.open = 0;
    }
    static int mf_hire(int threads) {                                         /* how many there are, the asker included */
      sigset_t all, before;
      pthread_attr_t detached;
      pthread_t id;
      if (mf_pool.workers + 1 >= threads) return threads;
      if (!mf_pool.watched) mf_pool.watched = !pthread_atfork(NULL, NULL, mf_forked);
      sigfillset(&all);
      pthread_sigmask(SIG_SETMASK, &all, &before);
      pthread_attr_init(&detached);
      pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
      while (mf_pool.watched && mf_pool.workers + 1 < threads &&
             !pthread_create(&id, &detached, mf_worker, (void *)(ptrdiff_t)(mf_pool.workers + 1))) mf_pool.workers++;
      pthread_attr_destroy(&detached);
      pthread_sigmask(SIG_SETMASK, &before, NULL);
      return mf_pool.workers + 1;
    }
    static void mf_share_out(mf_part work, void *job, ptrdiff_t parts, int threads) {
      threads = mf_hire(threads);
      mf_pool.work = work;
      mf_pool.job = job;
      mf_pool.threads = threads;
      for (int k = 0; k < threads; k++) {
        mf_pool.of[k].next = k * parts / threads;
        mf_pool.of[k].end = (k + 1) * parts / threads;
      }
      __atomic_fetch_add(&mf_pool.open, 1, __ATOMIC_SEQ_CST);
      if (__atomic_load_n(&mf_pool.asleep, __ATOMIC_SEQ_CST)) {
        pthread_mutex_lock(&mf_pool.lock);
        pthread_cond_broadcast(&mf_pool.wake);
        pthread_mutex_unlock(&mf_pool.lock);
      }
      mf_do_parts(0, threads);
      __atomic_fetch_add(&mf_pool.open, 1, __ATOMIC_SEQ_CST);
      for (int k = 0; __atomic_load_n(&mf_pool.inside, __ATOMIC_SEQ_CST); k++) {
        mf_pause();
        if (k > MF_SPINS) sched_yield();
      }
    }
    #else
    enum { MF_MOST = 1 };
    static struct { int busy; } mf_pool;
    static int mf_width = 0;
    static void mf_share_out(mf_part work, void *job, ptrdiff_t parts, int threads) { (void)work; (void)job; (void)parts; (void)threads; }
    #endif
    #define mf_pool_busy (&mf_pool.busy)
    """
    enum:
        MF_MOST
    int mf_width
    int *mf_pool_busy
    void mf_share_out(part_fn work, void *job, ptrdiff_t parts, int threads) noexcept nogil


# ---- the width ------------------------------------------------------------------------------------------------------------------------

MOST = MF_MOST                           # threads at once


def _default():
    """MFLOW_THREADS, 1 if it is not set."""
    text = os.environ.get("MFLOW_THREADS", "").strip()
    if text and not (text.isdecimal() and int(text) >= 1):
        raise ImportError(f"MFLOW_THREADS={text!r}: expected a whole number from 1 on; unset it, or set it to one")
    return min(int(text or 1), MOST)


cdef int DEFAULT = _default()


cdef int width() noexcept nogil:
    """How many threads work that this thread shares out may use."""
    return mf_width if mf_width else DEFAULT


cdef int set_width(int threads) noexcept nogil:
    """Sets the width of this thread, 0: the default; returns what it was."""
    global mf_width
    cdef int before = mf_width
    mf_width = threads if threads < MF_MOST else MF_MOST
    return before


def threads():
    """How many threads long vectors are shared out to, in this thread."""
    return width()


def set_threads(int number):
    """Sets that number, 0: the default. Returns the number before, 0 where it was the default."""
    return set_width(number)


# ---- sharing ----------------------------------------------------------------------------------------------------------------------------

cdef void share(part_fn work, void *job, ptrdiff_t parts) noexcept nogil:
    """work(job, part) for all parts 0 ... parts - 1, each once, in any order; on as many threads as `width` says."""
    cdef int threads = width()
    cdef unsigned int mode = mf_fp_enter()
    cdef ptrdiff_t part
    if threads > parts:
        threads = <int> parts
    if threads > 1 and mf_take(mf_pool_busy):
        mf_share_out(work, job, parts, threads)
        mf_give(mf_pool_busy)
    else:
        for part in range(parts):
            work(job, part)
    mf_fp_leave(mode)


# Room for the partial sums of parts: kept from one piece of work to the next, so that only the first, or one beside another, allocates.

cdef double *_room = NULL
cdef ptrdiff_t _held = 0
cdef int _lent = 0


cdef double *borrow(ptrdiff_t numbers, bint *lent) noexcept nogil:
    """So many numbers, to be given back with what `lent` says; NULL: no memory."""
    global _room, _held
    lent[0] = mf_take(&_lent)
    if not lent[0]:
        return <double *> malloc(numbers * sizeof(double))
    if numbers > _held:
        free(_room)
        _room = <double *> malloc(numbers * sizeof(double))
        _held = numbers if _room != NULL else 0
        if _room == NULL:
            mf_give(&_lent)
    return _room


cdef void give_back(double *room, bint lent) noexcept nogil:
    if lent:
        mf_give(&_lent)
    else:
        free(room)

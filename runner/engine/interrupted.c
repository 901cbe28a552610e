// SPDX-License-Identifier: MIT
/*
 * interrupted.c - x86-64: the number of the call is in orig_rax, its result in rax.
 */
#include "runner/engine/interrupted.h"

#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>

/* The kernel's own results that no program ever sees (include/linux/errno.h). */
enum { ERESTARTSYS_ = 512, ERESTARTNOHAND_ = 514, ERESTART_RESTARTBLOCK_ = 516 };

bool pg_interrupted_in_call(const struct user_regs_struct *r)
{
        return (long long)r->orig_rax >= 0;
}

static bool ends_with(const struct user_regs_struct *r, int result)
{
        return pg_interrupted_in_call(r) && (long long)r->rax == -result;
}

bool pg_interrupted_waiting(const struct user_regs_struct *r)
{
        return ends_with(r, ERESTARTSYS_) || ends_with(r, ERESTARTNOHAND_) ||
               ends_with(r, ERESTART_RESTARTBLOCK_) || ends_with(r, EINTR);
}

/* Calls that wait and have done nothing yet when they say EINTR. Sockets do so when they have a time-out. */
static bool may_start_again(unsigned long long number)
{
        static const short calls[] = {
                SYS_epoll_wait,     SYS_epoll_pwait,  SYS_rt_sigtimedwait,
                SYS_semop,          SYS_semtimedop,   SYS_msgrcv,
                SYS_msgsnd,         SYS_io_getevents, SYS_read,
                SYS_readv,          SYS_write,        SYS_writev,
                SYS_recvfrom,       SYS_recvmsg,      SYS_recvmmsg,
                SYS_sendto,         SYS_sendmsg,      SYS_sendmmsg,
                SYS_accept,         SYS_accept4,      SYS_connect,
                SYS_futex,          SYS_poll,         SYS_ppoll,
                SYS_select,         SYS_pselect6,
#ifdef SYS_io_pgetevents
                SYS_io_pgetevents,
#endif
#ifdef SYS_epoll_pwait2
                SYS_epoll_pwait2,
#endif
#ifdef SYS_io_uring_enter
                SYS_io_uring_enter,
#endif
        };
        for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
                if (number == (unsigned long long)calls[i])
                        return true;
        return false;
}

bool pg_interrupted_mend(struct user_regs_struct *r)
{
        if (!ends_with(r, EINTR) || !may_start_again(r->orig_rax))
                return false;
        r->rax = (unsigned long long)-ERESTARTNOHAND_;
        return true;
}

//! The system calls that are left once the devices are open. All others are answered as by a kernel that has not got them, and
//! so what needs one fails, be it a request or an intruder's, and nothing else does: see decision 21.
use std::collections::BTreeMap;
use std::env::consts::ARCH;

use anyhow::{Context as _, Result};
use nix::libc::*;
use seccompiler::SeccompCmpArgLen::Dword;
use seccompiler::SeccompCmpOp::{Eq, MaskedEq, Ne};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter_all_threads,
};

/// Allowed whatever their arguments: the kernel remembers these by number, and what workers call at each poll is among them.
#[rustfmt::skip]
const ALLOWED: &[i64] = &[
    // Kernel interfaces and other devices, whose configuration space drivers read and write at places by vfio.
    SYS_recvmmsg, SYS_sendmmsg, SYS_recvmsg, SYS_sendmsg, SYS_read, SYS_readv, SYS_write, SYS_writev, SYS_pread64,
    SYS_pwrite64, SYS_getsockopt, SYS_getsockname, SYS_getpeername, SYS_setsockopt,
    // Memory, and what DPDK takes more of it by.
    SYS_brk, SYS_munmap, SYS_mremap, SYS_madvise, SYS_memfd_create, SYS_ftruncate, SYS_fallocate, SYS_flock,
    SYS_get_mempolicy, SYS_set_mempolicy, SYS_mbind,
    // Threads, and what ends the process.
    SYS_rseq, SYS_set_robust_list, SYS_futex, SYS_gettid, SYS_getpid, SYS_prctl, SYS_membarrier, SYS_restart_syscall,
    SYS_sched_yield, SYS_sched_getaffinity, SYS_sched_setaffinity, SYS_getcpu, SYS_exit, SYS_exit_group,
    SYS_sigaltstack, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn,
    // Clients: of the command socket, of metrics.
    SYS_accept, SYS_accept4, SYS_shutdown, SYS_recvfrom, SYS_sendto, SYS_poll, SYS_ppoll, SYS_fcntl, SYS_close,
    SYS_epoll_create, SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_wait, SYS_epoll_pwait, SYS_eventfd2, SYS_pipe2,
    // Syslog servers, and systemd.
    SYS_connect, SYS_bind,
    // The configuration, and what drivers read; the command socket's end.
    SYS_statx, SYS_newfstatat, SYS_fstat, SYS_stat, SYS_lstat, SYS_access, SYS_faccessat, SYS_faccessat2, SYS_lseek,
    SYS_getdents64, SYS_readlink, SYS_readlinkat, SYS_getcwd, SYS_unlink,
    // Time, where the kernel does not tell it in memory, and numbers.
    SYS_clock_gettime, SYS_clock_getres, SYS_gettimeofday, SYS_time, SYS_clock_nanosleep, SYS_nanosleep,
    SYS_timerfd_create, SYS_timerfd_settime, SYS_getrandom, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid,
    SYS_uname, SYS_sysinfo,
];

/// An argument by its place, and what it must be.
type Argument = (u8, SeccompCmpOp, i32);

/// Allowed with such arguments only; a call that stands here twice, with either.
fn allowed_with() -> Vec<(i64, Vec<Argument>)> {
    let only = |mask: i32| MaskedEq(mask as u32 as u64);
    vec![
        // Threads of this process, and no process: glibc asks for them this way where there is no clone3, whose arguments
        // a filter cannot see.
        (SYS_clone, vec![(0, only(CLONE_THREAD), CLONE_THREAD)]),
        // Only this process ends by its own signals.
        (SYS_tgkill, vec![(0, Eq, std::process::id() as i32)]),
        // Nothing is written to but what is open.
        (SYS_openat, vec![(2, only(O_ACCMODE | O_CREAT | O_TRUNC), O_RDONLY)]),
        // No code is added.
        (SYS_mmap, vec![(2, only(PROT_EXEC), 0)]),
        (SYS_mprotect, vec![(2, only(PROT_EXEC), 0)]),
        (SYS_socket, vec![(0, Eq, AF_UNIX)]),
        (SYS_socket, vec![(0, Eq, AF_INET), (1, only(!(SOCK_CLOEXEC | SOCK_NONBLOCK)), SOCK_DGRAM)]),
        // Nobody types at the terminal that it was started from.
        (SYS_ioctl, vec![(1, Ne, TIOCSTI as i32)]),
    ]
}

/// Leaves every thread of the process, now and later, the system calls that it needs from here on.
///
/// # Errors
/// When the kernel has no such filters.
pub fn confine() -> Result<()> {
    let program = filter().context("the filter of system calls cannot be made")?;
    apply_filter_all_threads(&program).context("the kernel takes no filter of system calls")
}

fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.iter().map(|&call| (call, Vec::new())).collect();
    for (call, arguments) in allowed_with() {
        let condition = |(place, operation, value): Argument| {
            SeccompCondition::new(place, Dword, operation, u64::from(value as u32))
        };
        let conditions = arguments.into_iter().map(condition).collect::<Result<Vec<_>, _>>()?;
        rules.entry(call).or_default().push(SeccompRule::new(conditions)?);
    }
    let refused = SeccompAction::Errno(ENOSYS as u32);
    SeccompFilter::new(rules, refused, SeccompAction::Allow, ARCH.try_into()?)?.try_into()
}

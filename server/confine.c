/* Owns the confinement of tuttid: no new privileges, no core, Landlock, the filter of system calls. */
#include "config.h"
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Newer than the headers of some distributions; the numbers are the kernel's. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#define ACCESS_IOCTL_DEV (1ULL << 15)


/* The sanitizers trace the program at its end, and read about it in /proc. */
#if defined(__SANITIZE_ADDRESS__)
enum { TRACEABLE = 1 };
#else
enum { TRACEABLE = 0 };
#endif

const char *const confine_system[CONFINE_SYSTEM] = {
	"/etc", "/usr", "/lib", "/lib64", "/run/systemd/resolve", "/run/resolvconf",
	"/run/NetworkManager", "/run/nscd", "/var/lib/misc", "/dev/null",
};

#define ACCESS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define ACCESS_CHANGE                                                                              \
	(ACCESS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |             \
	 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |                            \
	 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_SYM | \
	 LANDLOCK_ACCESS_FS_REFER | LANDLOCK_ACCESS_FS_TRUNCATE)
#define ACCESS_FILE                                                                                \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE)

/* All that a kernel of this version can withhold. */
static uint64_t known_access(int version)
{
	uint64_t all = LANDLOCK_ACCESS_FS_EXECUTE | ACCESS_CHANGE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
		       LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
		       ACCESS_IOCTL_DEV;
	if (version < 2)
		all &= ~(uint64_t)LANDLOCK_ACCESS_FS_REFER;
	if (version < 3)
		all &= ~(uint64_t)LANDLOCK_ACCESS_FS_TRUNCATE;
	if (version < 5)
		all &= ~(uint64_t)ACCESS_IOCTL_DEV;
	return all;
}

static int fail(struct buf *said, const char *what, const char *path)
{
	int error = errno;
	buf_clear(said);
	buf_addf(said, "the server cannot confine itself: %s%s%s: %s", what, path ? " " : "",
		 path ? path : "", strerror(error));
	return -error;
}

static int allow(int rules, const char *path, uint64_t access, bool must_exist, struct buf *said)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return must_exist ? fail(said, "opening", path) : 0;
	struct stat st;
	if (fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode))
		access &= ACCESS_FILE;
	struct landlock_path_beneath_attr below = {.allowed_access = access, .parent_fd = fd};
	long r = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &below, 0);
	int result = r < 0 ? fail(said, "a rule for", path) : 0;
	close(fd);
	return result;
}

static int restrict_files(const struct confinement *c, struct buf *said)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	/* Without REFER nothing could be moved between folders, which is how files are put in place. */
	if (version < 2) {
		buf_addf(said, "files outside the directory are not withheld: this kernel has no "
			       "Landlock, or too old a one");
		return 0;
	}
	uint64_t known = known_access((int)version);
	struct landlock_ruleset_attr attr = {.handled_access_fs = known};
	int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr.handled_access_fs), 0);
	if (rules < 0)
		return fail(said, "making rules", NULL);
	int r = 0;
	for (size_t i = 0; r == 0 && i < c->n_writable; i++)
		r = allow(rules, c->writable[i], ACCESS_CHANGE & known, true, said);
	if (TRACEABLE)
		r = r ? r : allow(rules, "/proc", ACCESS_READ & known, true, said);
	for (size_t i = 0; r == 0 && i < c->n_readable; i++)
		r = allow(rules, c->readable[i], ACCESS_READ & known, false, said);
	if (r == 0 && syscall(SYS_landlock_restrict_self, rules, 0) < 0)
		r = fail(said, "Landlock", NULL);
	close(rules);
	if (r == 0)
		buf_addf(said, "Landlock (version %ld) withholds files outside the directory", version);
	return r;
}

/* A server that follows the manual never makes these calls. Those that do not exist on a machine are
 * passed over. */
static const int forbidden_calls[] = {
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev), SCMP_SYS(pidfd_getfd), SCMP_SYS(kcmp), SCMP_SYS(mount),
	SCMP_SYS(umount2), SCMP_SYS(pivot_root), SCMP_SYS(chroot), SCMP_SYS(fsopen),
	SCMP_SYS(fsmount), SCMP_SYS(move_mount), SCMP_SYS(open_tree), SCMP_SYS(setns),
	SCMP_SYS(unshare), SCMP_SYS(bpf), SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd),
	SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register),
	SCMP_SYS(keyctl), SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(init_module),
	SCMP_SYS(finit_module), SCMP_SYS(delete_module), SCMP_SYS(kexec_load),
	SCMP_SYS(kexec_file_load), SCMP_SYS(reboot), SCMP_SYS(swapon), SCMP_SYS(swapoff),
	SCMP_SYS(setuid), SCMP_SYS(setgid), SCMP_SYS(setreuid), SCMP_SYS(setregid),
	SCMP_SYS(setresuid), SCMP_SYS(setresgid), SCMP_SYS(setgroups), SCMP_SYS(capset),
	SCMP_SYS(mknod), SCMP_SYS(mknodat), SCMP_SYS(quotactl), SCMP_SYS(acct),
	SCMP_SYS(settimeofday), SCMP_SYS(clock_settime), SCMP_SYS(adjtimex),
	SCMP_SYS(name_to_handle_at), SCMP_SYS(open_by_handle_at), SCMP_SYS(fanotify_init),
	SCMP_SYS(personality), SCMP_SYS(vmsplice), SCMP_SYS(modify_ldt), SCMP_SYS(iopl),
	SCMP_SYS(ioperm),
};

/* Sockets are TCP or local, and names are looked up over UDP. Each rule is for one side of a range. */
static int allow_socket_families(scmp_filter_ctx filter)
{
	const struct scmp_arg_cmp others[] = {
		SCMP_A0(SCMP_CMP_LT, AF_UNIX), SCMP_A0(SCMP_CMP_GT, AF_INET6),
	};
	int r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(others); i++)
		r = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
					   &others[i]);
	for (unsigned family = AF_INET + 1; r == 0 && family < AF_INET6; family++) {
		struct scmp_arg_cmp is = SCMP_A0(SCMP_CMP_EQ, family);
		r = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
					   &is);
	}
	return r;
}

static int restrict_calls(struct buf *said)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	if (!filter) {
		errno = ENOMEM;
		return fail(said, "making a filter", NULL);
	}
	int r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(forbidden_calls); i++) {
		if (TRACEABLE && forbidden_calls[i] == SCMP_SYS(ptrace))
			continue;
		r = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM), forbidden_calls[i], 0, NULL);
	}
	if (r == 0)
		r = allow_socket_families(filter);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	if (r == -EINVAL || r == -ENOSYS || r == -EOPNOTSUPP) {
		buf_addf(said, "; system calls are not filtered: this kernel cannot");
		return 0;
	}
	if (r < 0) {
		errno = -r;
		return fail(said, "the filter of system calls", NULL);
	}
	buf_addf(said, "; running programs, tracing and mounting are forbidden");
	return 0;
}

int confine(const struct confinement *c, struct buf *said)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return fail(said, "giving up new privileges", NULL);
	/* The key is in memory: no core of it, and no look at it by other programs of this user. */
	if (!TRACEABLE && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return fail(said, "forbidding traces", NULL);
	int r = restrict_files(c, said);
	return r < 0 ? r : restrict_calls(said);
}

// SPDX-License-Identifier: MIT
/*
 * record.c - claims the program's image, and looks around at its start and at its end.
 *
 * What is around is asked of the kernel by raw system calls, but dispositions by sigaction(), because the
 * question is what the target would be told. Ends by a signal leave nothing: the exit status says them.
 */
#include "runner/probe/record.h"

#include <dirent.h>
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>

#include "runner/agent/raw.h"

struct pg_probe_image *probe_image;

/* The definitions behind us. */
static struct {
        int (*sigaction)(int, const struct sigaction *, struct sigaction *);
        void (*_exit)(int);
        void (*_Exit)(int);
} next;

void *probe_next(void **slot, const char *name)
{
        void *f = __atomic_load_n(slot, __ATOMIC_RELAXED);
        if (!f) {
                int saved = errno;
                f = dlsym(RTLD_NEXT, name);
                __atomic_store_n(slot, f, __ATOMIC_RELAXED);
                errno = saved;
        }
        return f;
}

#define NEXT(name) ((__typeof__(next.name))probe_next((void **)&next.name, #name))

/* ---- the environment -------------------------------------------------------------------------------------
 */

static const char *variable(char **envp, const char *name)
{
        size_t n = strlen(name);
        for (; envp && *envp; envp++)
                if (strncmp(*envp, name, n) == 0 && (*envp)[n] == '=')
                        return *envp + n + 1;
        return NULL;
}

/* The variables that bring us and the agent in are there by design. */
static bool is_own(const char *entry)
{
        static const char *const names[] = { "LD_PRELOAD=", "PERFGATE_AGENT=", PG_PROBE_VARIABLE "=" };
        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
                if (strncmp(entry, names[i], strlen(names[i])) == 0)
                        return true;
        return false;
}

static uint64_t hash_environment(char **envp, uint32_t *ret_n)
{
        uint64_t hash = 0;
        *ret_n = 0;
        for (; envp && *envp; envp++) {
                if (is_own(*envp))
                        continue;
                for (const char *c = *envp; *c; c++)
                        hash = probe_mix(hash, (unsigned char)*c);
                hash = probe_mix(hash, 0);
                ++*ret_n;
        }
        return hash;
}

/* ---- the process, as the kernel describes it -------------------------------------------------------------
 */

/* Calls use() for each name in a folder of /proc; false when it cannot be listed. */
static bool list_folder(const char *path, void (*use)(const char *name, int folder, void *data), void *data)
{
        char entries[2048];
        int fd = (int)raw_call(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, 0, 0);
        long n;
        if (fd < 0)
                return false;
        while ((n = raw_call(SYS_getdents64, fd, (long)entries, sizeof(entries), 0, 0, 0)) > 0)
                for (long at = 0; at < n;) {
                        const struct dirent64 *e = (const void *)(entries + at);
                        if (e->d_name[0] != '.')
                                use(e->d_name, fd, data);
                        at += e->d_reclen;
                }
        raw_close(fd);
        return true;
}

static void count_one(const char *name, int folder, void *data)
{
        (void)name, (void)folder;
        ++*(uint32_t *)data;
}

static uint32_t count_tasks(void)
{
        uint32_t n = 0;
        list_folder("/proc/self/task", count_one, &n);
        return n;
}

static uint64_t count_mappings(void)
{
        char piece[2048];
        uint64_t lines = 0;
        int fd = (int)raw_call(SYS_openat, AT_FDCWD, (long)"/proc/self/maps", O_RDONLY | O_CLOEXEC, 0, 0, 0);
        long n;
        while (fd >= 0 && (n = raw_call(SYS_read, fd, (long)piece, sizeof(piece), 0, 0, 0)) > 0)
                for (long i = 0; i < n; i++)
                        lines += piece[i] == '\n';
        if (fd >= 0)
                raw_close(fd);
        return lines;
}

static uint64_t blocked_signals(void)
{
        uint64_t mask = 0;
        raw_call(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)&mask, sizeof(mask), 0, 0);
        return mask;
}

/* ---- start -----------------------------------------------------------------------------------------------
 */

static bool map_file(const char *path, struct pg_probe_header **ret)
{
        int fd = raw_open_rdwr(path);
        struct pg_probe_header *h = fd >= 0 ? raw_map_shared(fd, 0, PG_PROBE_FILE_BYTES) : NULL;
        if (fd >= 0)
                raw_close(fd);
        if (h && h->magic != PG_PROBE_MAGIC) {
                raw_unmap(h, PG_PROBE_FILE_BYTES);
                h = NULL;
        }
        *ret = h;
        return h;
}

static void name_program(char out[PG_PROBE_PROGRAM_BYTES])
{
        char path[PG_PATH_MAX_BYTES];
        raw_program_path(path);
        size_t n = strlen(path), cut = n >= PG_PROBE_PROGRAM_BYTES ? n - PG_PROBE_PROGRAM_BYTES + 1 : 0;
        memcpy(out, path + cut, n - cut + 1);
}

static void describe_start(struct pg_probe_image *i, char **envp)
{
        i->pid = raw_getpid();
        name_program(i->program);
        i->environment_hash = hash_environment(envp, &i->variables);
        i->tasks_at_start = count_tasks();
        i->blocked_at_start = blocked_signals();
        atomic_store_explicit(&i->ready, 1, memory_order_release);
}

#pragma weak _dl_find_object

/* Another C library, which loaded us because its user asked for it, passes no arguments to constructors. */
static bool is_foreign_libc(void)
{
        return !_dl_find_object;
}

__attribute__((constructor)) static void start(int argc, char **argv, char **envp)
{
        (void)argc, (void)argv;
        struct pg_probe_header *h;
        if (is_foreign_libc())
                return;
        const char *path = variable(envp, PG_PROBE_VARIABLE);
        (void)NEXT(sigaction), (void)NEXT(_exit), (void)NEXT(_Exit);
        probe_resolve_calls();
        probe_resolve_heap();
        if (!path || !map_file(path, &h))
                return;
        uint32_t index = atomic_fetch_add_explicit(&h->n_images, 1, memory_order_relaxed);
        if (index >= PG_PROBE_IMAGES) {
                raw_unmap(h, PG_PROBE_FILE_BYTES);
                return;
        }
        struct pg_probe_image *i = (struct pg_probe_image *)((char *)h + PG_PROBE_PAGE) + index;
        describe_start(i, envp);
        probe_image = i;
}

/* ---- end -------------------------------------------------------------------------------------------------
 */

static void note_descriptor(const char *name, int folder, void *data)
{
        struct pg_probe_image *i = data;
        long fd = strtol(name, NULL, 10);
        if (fd != folder && fd >= 0)
                probe_add(&i->open_at_end[fd < PG_PROBE_NUMBERS - 1 ? fd : PG_PROBE_NUMBERS - 1], 1);
}

static void note_signals(struct pg_probe_image *i)
{
        uint64_t blocked = blocked_signals();
        for (int sig = 1; sig < PG_PROBE_SIGNALS; sig++) {
                struct sigaction a;
                if (blocked & 1ull << (sig - 1))
                        probe_add(&i->blocked_at_end[sig], 1);
                if (NEXT(sigaction)(sig, NULL, &a) != 0 || a.sa_handler == SIG_DFL)
                        continue;
                probe_add(a.sa_handler == SIG_IGN ? &i->ignored_at_end[sig] : &i->handled_at_end[sig], 1);
        }
}

/* Once in each process: exit() comes here by the destructor, and its caller may be one of several threads. */
static void note_end(void)
{
        static _Atomic int32_t ended_pid;
        struct pg_probe_image *i = probe_image;
        int saved = errno;
        int32_t pid = raw_getpid();
        if (!i || atomic_exchange_explicit(&ended_pid, pid, memory_order_relaxed) == pid)
                return;
        uint32_t n;
        probe_add(&i->ends, 1);
        probe_add(&i->environment_hash_at_end, hash_environment(environ, &n));
        probe_add(&i->variables_at_end, n);
        probe_add(&i->tasks_at_end, count_tasks());
        probe_add(&i->mappings_at_end, count_mappings());
        list_folder("/proc/self/fd", note_descriptor, i);
        note_signals(i);
        errno = saved;
}

__attribute__((destructor)) static void finish(void)
{
        note_end();
}

PROBE_PUBLIC void _exit(int status)
{
        note_end();
        for (;;)
                NEXT(_exit)(status);
}

PROBE_PUBLIC void _Exit(int status)
{
        note_end();
        for (;;)
                NEXT(_Exit)(status);
}

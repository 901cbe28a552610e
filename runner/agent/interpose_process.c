// SPDX-License-Identifier: MIT
/*
 * interpose_process.c - fork, exec and friends: the tree stays measured, and what is not measured is noted.
 *
 * A started program gets our two variables again if the caller left them out, and nothing else is changed. Where a
 * seccomp filter that the program inherits forbids what the agent does at a start, it gets neither, and runs without.
 * Each start goes into the slot's journal, so that the reader finds programs that the loader kept us out of.
 * A vfork child runs on its parent's memory and slot: it only writes the journal. vfork itself cannot be
 * wrapped (it returns twice) and need not be.
 */
#include <alloca.h>
#include <dlfcn.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "runner/agent/count.h"
#include "runner/agent/raw.h"
#include "runner/agent/real.h"
#include "runner/base/clock.h"

enum { STACK_ROOM_MAX = 32768 };
static const char preload[] = "LD_PRELOAD=", variable[] = PG_AGENT_VARIABLE "=";

static bool is_attached(void)
{
        if (pg_unlikely(!real.fork))
                real_resolve();
        return agent.state >= AGENT_COUNTING;
}

/* ---- the journal -----------------------------------------------------------------------------------------
 */

static struct pg_started *journal(int32_t pid, uint64_t time_ns, const char *path)
{
        uint32_t i = atomic_fetch_add_explicit(&agent.slot->n_started, 1, memory_order_relaxed);
        if (i >= PG_JOURNAL_MAX)
                return NULL;
        struct pg_started *e = &agent.journal[i];
        e->pid = pid;
        e->time_ns = time_ns;
        raw_absolute_path(path, e->path, sizeof(e->path));
        atomic_store_explicit(&e->ready, 1, memory_order_release);
        return e;
}

/* How the reader is to look for process pid, once it runs another program. */
static int32_t started_as(int32_t pid)
{
        return filter_restricts() ? PG_STARTED_BARE : pid;
}

static void take_back(struct pg_started *e)
{
        if (e)
                atomic_store_explicit(&e->ready, 0, memory_order_release);
}

static bool is_executable(const char *path)
{
        return raw_call(SYS_faccessat, AT_FDCWD, (long)path, X_OK, 0, 0, 0) == 0;
}

/* The file that a search of PATH finds for name, into out; name itself when none does. */
static void search_path(const char *name, char *out, size_t size)
{
        const char *path = getenv("PATH");
        for (const char *p = path ? path : "/bin:/usr/bin"; !strchr(name, '/'); p++) {
                size_t n = strcspn(p, ":");
                size_t at = n < size ? n : 0;
                memcpy(out, p, at);
                out[at] = '\0';
                at = raw_append(out, at, size, at ? "/" : "");
                raw_append(out, at, size, name);
                if (n < size && is_executable(out))
                        return;
                p += n;
                if (*p == '\0')
                        break;
        }
        out[0] = '\0';
        raw_append(out, 0, size, name);
}

/* ---- the environment -------------------------------------------------------------------------------------
 */

static const char *value_in(char *const *envp, const char *prefix, size_t n)
{
        for (; envp && *envp; envp++)
                if (strncmp(*envp, prefix, n) == 0)
                        return *envp + n;
        return NULL;
}

/* True when one of the colon- or space-separated entries of list is ours. */
static bool list_has_agent(const char *list)
{
        size_t n = strlen(agent.path);
        for (const char *p = list; (p = strstr(p, agent.path)); p += n)
                if ((p == list || p[-1] == ':' || p[-1] == ' ') &&
                    (p[n] == '\0' || p[n] == ':' || p[n] == ' '))
                        return true;
        return false;
}

/* Another run's variable is left alone: it measures its own targets. */
static bool is_complete(char *const *envp)
{
        const char *list = value_in(envp, preload, sizeof(preload) - 1);
        const char *value = value_in(envp, variable, sizeof(variable) - 1);
        return value && (strcmp(value, agent.value) != 0 || (list && list_has_agent(list)));
}

struct environment_size {
        size_t pointers, preload_bytes, total;
};

static struct environment_size size_of(char *const *envp)
{
        struct environment_size s = { .pointers = 3 }; // ours and the final NULL
        s.preload_bytes = sizeof(preload) + strlen(agent.path);
        for (char *const *e = envp; e && *e; e++, s.pointers++)
                if (strncmp(*e, preload, sizeof(preload) - 1) == 0) // there may be several
                        s.preload_bytes += strlen(*e) + 1;
        s.total = s.pointers * sizeof(char *) + s.preload_bytes + sizeof(variable) + strlen(agent.value);
        return s;
}

/* envp with our variables, in room. The agent comes first: before an allocator that is preloaded as well. */
static char *const *complete(char *const *envp, struct environment_size size, void *room)
{
        char **out = room;
        char *text = (char *)(out + size.pointers);
        const char *list = value_in(envp, preload, sizeof(preload) - 1);
        size_t at = raw_append(text, 0, size.preload_bytes, preload);
        at = raw_append(text, at, size.preload_bytes, agent.path);
        if (list && *list && !list_has_agent(list)) {
                at = raw_append(text, at, size.preload_bytes, ":");
                raw_append(text, at, size.preload_bytes, list);
        }
        *out++ = text;
        text += size.preload_bytes;
        size_t rest = size.total - size.pointers * sizeof(char *) - size.preload_bytes;
        raw_append(text, raw_append(text, 0, rest, variable), rest, agent.value);
        *out++ = text;
        for (; envp && *envp; envp++)
                if (strncmp(*envp, preload, sizeof(preload) - 1) != 0 &&
                    strncmp(*envp, variable, sizeof(variable) - 1) != 0)
                        *out++ = *envp;
        *out = NULL;
        return room;
}

static bool is_agent(const char *entry, size_t n)
{
        return strlen(agent.path) == n && memcmp(entry, agent.path, n) == 0;
}

/* LD_PRELOAD without us, from one entry of an environment into text of the same size; NULL when nothing is left. */
static const char *preload_without(const char *variable_text, char *text)
{
        size_t size = strlen(variable_text) + 1, at = raw_append(text, 0, size, preload), start = at;
        for (const char *p = variable_text + sizeof(preload) - 1; *p;) {
                size_t n = strcspn(p, ": ");
                if (n > 0 && !is_agent(p, n)) {
                        at = at > start ? raw_append(text, at, size, ":") : at;
                        memcpy(text + at, p, n);
                        text[at += n] = '\0';
                }
                p += n + (p[n] != '\0');
        }
        return at > start ? text : NULL;
}

/* envp without our variables, in room that a complete one would need. */
static char *const *bare(char *const *envp, struct environment_size size, void *room)
{
        char **out = room;
        char *text = (char *)(out + size.pointers);
        for (; envp && *envp; envp++) {
                const char *entry = *envp;
                if (strncmp(entry, preload, sizeof(preload) - 1) == 0) {
                        entry = preload_without(entry, text);
                        text += entry ? strlen(entry) + 1 : 0;
                } else if (strncmp(entry, variable, sizeof(variable) - 1) == 0) {
                        entry = NULL;
                }
                if (entry)
                        *out++ = (char *)entry;
        }
        *out = NULL;
        return room;
}

/* Another run's agent, or one that was left out, needs nothing. */
static bool has_our_variable(char *const *envp)
{
        const char *value = value_in(envp, variable, sizeof(variable) - 1);
        return value && strcmp(value, agent.value) == 0;
}

/* What a started program is to get instead of envp. */
static bool is_to_change(char *const *envp)
{
        return is_attached() && agent.path[0] &&
               (filter_restricts() ? has_our_variable(envp) : !is_complete(envp));
}

static char *const *changed(char *const *envp, struct environment_size size, void *room)
{
        return filter_restricts() ? bare(envp, size, room) : complete(envp, size, room);
}

/* Evaluates call with the name env standing for envp or its changed copy: on the stack, which a vfork child
 * can leave behind without a trace, or mapped when it is large. */
#define WITH_ENVIRONMENT(envp, env, call)                                                                    \
        do {                                                                                                 \
                char *const *env = (envp);                                                                   \
                void *map_ = NULL;                                                                           \
                struct environment_size size_ = { 0 };                                                       \
                if (is_to_change(env)) {                                                                     \
                        size_ = size_of(env);                                                                \
                        void *room_ = size_.total <= STACK_ROOM_MAX ? alloca(size_.total)                    \
                                                                    : (map_ = raw_map_private(size_.total)); \
                        if (room_)                                                                           \
                                env = changed(env, size_, room_);                                            \
                }                                                                                            \
                call;                                                                                        \
                if (map_)                                                                                    \
                        raw_unmap(map_, size_.total);                                                        \
        } while (0)

/* ---- fork ------------------------------------------------------------------------------------------------
 */

PG_PUBLIC pid_t fork(void)
{
        if (!is_attached())
                return real.fork();
        agent_reattach_after_fork(); // when this process came from a raw clone
        count_self.fork_live_bytes = agent.state == AGENT_COUNTING ? count_live_bytes() : 0;
        count_self.forking = true;
        pid_t pid = real.fork();
        if (pid == 0) {
                if (agent.pid != raw_getpid()) // not yet by a handler that allocated
                        atomic_store_explicit(&agent_generation, 0, memory_order_relaxed);
                agent_reattach_after_fork();
        }
        count_self.forking = false;
        return pid;
}

/* ---- exec ------------------------------------------------------------------------------------------------
 */

enum exec_kind { BY_PATH, BY_NAME, BY_FD, AT_FD };

struct exec_call {
        enum exec_kind kind;
        int fd, flags;
        const char *path;
        char *const *argv;
};

static void describe(const struct exec_call *c, char out[PG_JOURNAL_PATH])
{
        if (c->kind == BY_NAME)
                search_path(c->path, out, PG_JOURNAL_PATH);
        else
                raw_append(out, 0, PG_JOURNAL_PATH, c->path ? c->path : "");
        if (c->kind != BY_FD && !(c->kind == AT_FD && c->path && c->path[0] == '\0'))
                return;
        char link[32] = "/proc/self/fd/";
        char digits[16];
        size_t n = sizeof(digits);
        digits[--n] = '\0';
        for (unsigned v = (unsigned)c->fd; n > 0 && (v || digits[n] == '\0'); v /= 10)
                digits[--n] = (char)('0' + v % 10);
        raw_append(link, strlen(link), sizeof(link), digits + n);
        long length = raw_call(SYS_readlink, (long)link, (long)out, PG_JOURNAL_PATH - 1, 0, 0, 0);
        out[length > 0 ? length : 0] = '\0';
}

static int call_real(const struct exec_call *c, char *const *envp)
{
        switch (c->kind) {
        case BY_PATH:
                return real.execve(c->path, c->argv, envp);
        case BY_NAME:
                return real.execvpe(c->path, c->argv, envp);
        case BY_FD:
                return real.fexecve(c->fd, c->argv, envp);
        case AT_FD:
                break;
        }
        return real.execveat(c->fd, c->path, c->argv, envp, c->flags);
}

/* Returns only when the exec failed. */
static int run_exec(const struct exec_call *c, char *const *envp)
{
        if (!is_attached())
                return call_real(c, envp);
        char path[PG_JOURNAL_PATH];
        describe(c, path);
        int32_t pid = raw_getpid();
        bool own_slot = pid == agent.pid; // not a vfork child
        struct pg_started *entry = journal(started_as(pid), pg_now_ns(), path);
        if (own_slot) {
                atomic_store_explicit(&agent.slot->end_ns, pg_now_ns(), memory_order_relaxed);
                atomic_store_explicit(&agent.slot->state, PG_SLOT_EXECED, memory_order_relaxed);
        }
        int r;
        WITH_ENVIRONMENT(envp, env, r = call_real(c, env));
        if (own_slot) {
                atomic_store_explicit(&agent.slot->state, PG_SLOT_RUNNING, memory_order_relaxed);
                atomic_store_explicit(&agent.slot->end_ns, 0, memory_order_relaxed);
        }
        take_back(entry);
        return r;
}

PG_PUBLIC int execve(const char *path, char *const argv[], char *const envp[])
{
        return run_exec(&(struct exec_call){ .kind = BY_PATH, .path = path, .argv = argv }, envp);
}

PG_PUBLIC int execv(const char *path, char *const argv[])
{
        return run_exec(&(struct exec_call){ .kind = BY_PATH, .path = path, .argv = argv }, environ);
}

PG_PUBLIC int execvp(const char *name, char *const argv[])
{
        return run_exec(&(struct exec_call){ .kind = BY_NAME, .path = name, .argv = argv }, environ);
}

PG_PUBLIC int execvpe(const char *name, char *const argv[], char *const envp[])
{
        return run_exec(&(struct exec_call){ .kind = BY_NAME, .path = name, .argv = argv }, envp);
}

PG_PUBLIC int fexecve(int fd, char *const argv[], char *const envp[])
{
        return run_exec(&(struct exec_call){ .kind = BY_FD, .fd = fd, .argv = argv }, envp);
}

PG_PUBLIC int execveat(int fd, const char *path, char *const argv[], char *const envp[], int flags)
{
        return run_exec(
                &(struct exec_call){ .kind = AT_FD, .fd = fd, .path = path, .argv = argv, .flags = flags },
                envp);
}

/* The list forms: arguments into an array on the stack, as libc does; args stands behind them afterwards. */
static size_t count_arguments(va_list args)
{
        size_t n = 1;
        while (va_arg(args, char *))
                n++;
        return n;
}

#define COLLECT_ARGUMENTS(first, argv, args)                                                                 \
        va_list args;                                                                                        \
        va_start(args, first);                                                                               \
        char **argv = alloca((count_arguments(args) + 1) * sizeof(char *));                                  \
        va_end(args);                                                                                        \
        va_start(args, first);                                                                               \
        argv[0] = (char *)(first);                                                                           \
        for (size_t i_ = 1; (argv[i_] = va_arg(args, char *)); i_++)                                         \
                ;

PG_PUBLIC int execl(const char *path, const char *first, ...)
{
        COLLECT_ARGUMENTS(first, argv, args)
        va_end(args);
        return execv(path, argv);
}

PG_PUBLIC int execlp(const char *name, const char *first, ...)
{
        COLLECT_ARGUMENTS(first, argv, args)
        va_end(args);
        return execvp(name, argv);
}

PG_PUBLIC int execle(const char *path, const char *first, ...)
{
        COLLECT_ARGUMENTS(first, argv, args)
        char *const *envp = va_arg(args, char *const *);
        va_end(args);
        return execve(path, argv, envp);
}

/* ---- spawn -----------------------------------------------------------------------------------------------
 */

static int run_spawn(bool search, pid_t *ret_pid, const char *path, const posix_spawn_file_actions_t *actions,
                     const posix_spawnattr_t *attributes, char *const *argv, char *const *envp)
{
        pid_t pid = 0;
        uint64_t time_ns = pg_now_ns();
        int r;
        if (!is_attached())
                return search ? real.posix_spawnp(ret_pid, path, actions, attributes, argv, envp)
                              : real.posix_spawn(ret_pid, path, actions, attributes, argv, envp);
        WITH_ENVIRONMENT(envp, env,
                         r = search ? real.posix_spawnp(&pid, path, actions, attributes, argv, env)
                                    : real.posix_spawn(&pid, path, actions, attributes, argv, env));
        if (r != 0)
                return r;
        char found[PG_JOURNAL_PATH];
        describe(&(struct exec_call){ .kind = search ? BY_NAME : BY_PATH, .path = path }, found);
        journal(started_as(pid), time_ns, found);
        if (ret_pid)
                *ret_pid = pid;
        return 0;
}

PG_PUBLIC int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                          const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
        return run_spawn(false, pid, path, actions, attributes, argv, envp);
}

PG_PUBLIC int posix_spawnp(pid_t *pid, const char *name, const posix_spawn_file_actions_t *actions,
                           const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
        return run_spawn(true, pid, name, actions, attributes, argv, envp);
}

/* libc starts the shell itself, with environ as it is, and keeps the pid. */
static void note_shell(void)
{
        if (is_attached())
                journal(is_complete(environ) ? started_as(PG_STARTED_BY_LIBC) : PG_STARTED_BARE, pg_now_ns(),
                        "/bin/sh");
}

/*
 * libc gives a shell environ as it is. Where a filter keeps the agent out, our variables leave it for good: a filter
 * stays, too, and to put them back behind the call would undo what other threads have changed meanwhile.
 */
static void clear_environ(void)
{
        char **old = environ;
        if (!is_attached() || !filter_restricts() || !has_our_variable(old))
                return;
        struct environment_size size = size_of(old);
        void *room = raw_map_private(size.total); // somebody may always hold a pointer into it
        if (!room)
                return;
        bare(old, size, room);
        if (!__atomic_compare_exchange_n(&environ, &old, (char **)room, false, __ATOMIC_ACQ_REL,
                                         __ATOMIC_RELAXED))
                raw_unmap(room, size.total); // another thread has just changed it
}

PG_PUBLIC int system(const char *command)
{
        if (command)
                note_shell();
        clear_environ();
        return real.system(command);
}

PG_PUBLIC FILE *popen(const char *command, const char *mode)
{
        note_shell();
        clear_environ();
        return real.popen(command, mode);
}

/* ---- unloading -------------------------------------------------------------------------------------------
 */

PG_PUBLIC int dlclose(void *library)
{
        is_attached();
        int r = real.dlclose(library);
        count_forget_addresses();
        return r;
}

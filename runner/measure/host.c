// SPDX-License-Identifier: MIT
/*
 * host.c - describes the machine from procfs, uname, os-release and the C library.
 *
 * Whatever cannot be read is "unknown": a measurement without a description is still one. Files are read up
 * to a bound, because only their beginnings matter.
 */
#include "runner/measure/host.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <sched.h>
#include <string.h>
#include <sys/utsname.h>

#include "runner/base/cleanup.h"
#include "runner/measure/host_text.h"

enum { TEXT_MAX = 64 * 1024, CPUS_MAX = 1 << 16 };

/* The first TEXT_MAX bytes of path as a string; "" when it cannot be read. NULL when out of memory. */
static char *read_beginning(struct pg_arena *a, const char *path)
{
        char *text = pg_arena_calloc(a, TEXT_MAX + 1, 1);
        PG_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        size_t len = 0;
        while (text && fd >= 0 && len < TEXT_MAX) {
                ssize_t n = read(fd, text + len, TEXT_MAX - len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        break;
                len += (size_t)n;
        }
        return text;
}

/* The first line of text that begins with word, or NULL. */
static const char *find_line(const char *text, const char *word)
{
        size_t n = strlen(word);
        while (strncmp(text, word, n) != 0) {
                text = strchr(text, '\n');
                if (!text)
                        return NULL;
                text++;
        }
        return text;
}

char *pg_host_cpu_model(struct pg_arena *a, const char *text)
{
        const char *line = find_line(text, "model name");
        size_t colon = line ? strcspn(line, ":\n") : 0;
        if (!line || line[colon] != ':')
                return pg_arena_strdup(a, "unknown");
        const char *value = line + colon + 1 + strspn(line + colon + 1, " \t");
        size_t n = strcspn(value, "\n");
        while (n && isspace((unsigned char)value[n - 1]))
                n--;
        return n ? pg_arena_strndup(a, value, n) : pg_arena_strdup(a, "unknown");
}

/* A value as the shell would read it: in double, single or no quotes, \ before one of " $ ` \ in the first.
 */
static char *unquote(struct pg_arena *a, const char *value)
{
        char quote = *value == '"' || *value == '\'' ? *value++ : '\0';
        char *out = pg_arena_calloc(a, strcspn(value, "\n") + 1, 1);
        char *p = out;
        for (; out && *value && *value != '\n' && *value != quote; value++) {
                if (!quote && isspace((unsigned char)*value))
                        break;
                if (quote != '\'' && *value == '\\' && value[1] && strchr("\"$`\\", value[1]))
                        value++;
                *p++ = *value;
        }
        return out;
}

char *pg_host_os_name(struct pg_arena *a, const char *text)
{
        static const char key[] = "PRETTY_NAME=";
        const char *value = NULL;
        for (const char *line = find_line(text, key); line; line = find_line(value, key))
                value = line + strlen(key);
        char *name = value ? unquote(a, value) : NULL;
        if (value && !name)
                return NULL;
        return name && *name ? name : pg_arena_strdup(a, "Linux");
}

/* os-release(5): the first of the two files that exists. */
static char *read_os_release(struct pg_arena *a)
{
        bool in_etc = access("/etc/os-release", R_OK) == 0;
        return read_beginning(a, in_etc ? "/etc/os-release" : "/usr/lib/os-release");
}

/* The kernel refuses a mask that is smaller than its own, whatever the machine has. */
static uint32_t usable_cores(void)
{
        for (int n = CPU_SETSIZE; n <= CPUS_MAX; n *= 2) {
                cpu_set_t *set = CPU_ALLOC((size_t)n);
                if (!set)
                        break;
                int ok = sched_getaffinity(0, CPU_ALLOC_SIZE((size_t)n), set) == 0;
                int count = ok ? CPU_COUNT_S(CPU_ALLOC_SIZE((size_t)n), set) : 0;
                CPU_FREE(set);
                if (count > 0)
                        return (uint32_t)count;
                if (errno != EINVAL)
                        break;
        }
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        return online > 0 ? (uint32_t)online : 1;
}

bool pg_host_describe(struct pg_arena *a, struct pg_host *ret, struct pg_error *err)
{
        struct utsname names;
        if (uname(&names) < 0) {
                strcpy(names.machine, "unknown");
                strcpy(names.release, "unknown");
        }
        char *cpuinfo = read_beginning(a, "/proc/cpuinfo"), *os_release = read_os_release(a);
        if (!cpuinfo || !os_release)
                return pg_fail_nomem(err);
        struct pg_host h = {
                .cpu_model = pg_host_cpu_model(a, cpuinfo),
                .arch = pg_arena_strdup(a, names.machine),
                .kernel = pg_arena_strdup(a, names.release),
                .libc = pg_arena_printf(a, "glibc %s", gnu_get_libc_version()),
                .os = pg_host_os_name(a, os_release),
                .cores = usable_cores(),
        };
        if (!h.cpu_model || !h.arch || !h.kernel || !h.libc || !h.os)
                return pg_fail_nomem(err);
        *ret = h;
        return true;
}

// SPDX-License-Identifier: MIT
/*
 * install.c - where helper, agents and the other libraries are: beside the program in a build tree, in the GNU
 * folders when installed.
 *
 * All are found relative to the running executable, so that an unpacked archive works from anywhere.
 */
#include "runner/measure/measure.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#ifndef PG_LIBEXEC_FROM_BIN
#define PG_LIBEXEC_FROM_BIN "../libexec/perfgate"
#endif
#ifndef PG_LIBDIR_FROM_BIN
#define PG_LIBDIR_FROM_BIN "../lib/perfgate"
#endif

#define HELPER_NAME  "perfgate-helper"
#define AGENT_NAME   "libperfgate-agent.so"
#define SAMPLER_NAME "libperfgate-sampler.so"
#define LOCKS_NAME   "libperfgate-locks.so"
#define PROBE_NAME   "libperfgate-probe.so"
#define BLANK_NAME   "libperfgate-blank.so"

static bool own_folder(char folder[PATH_MAX], struct pg_error *err)
{
        ssize_t n = readlink("/proc/self/exe", folder, PATH_MAX - 1);
        if (n < 0)
                return pg_fail_os(err, "cannot find the running program (is /proc mounted?)");
        folder[n] = '\0';
        char *slash = strrchr(folder, '/');
        *slash = '\0';
        return true;
}

static const char *look_in(struct pg_arena *a, const char *folder, const char *below, const char *name,
                           int mode)
{
        const char *path = pg_arena_printf(a, "%s%s/%s", folder, below, name);
        return path && access(path, mode) == 0 ? path : NULL;
}

static bool find(struct pg_arena *a, const char *folder, const char *below, const char *name, int mode,
                 const char **ret, struct pg_error *err)
{
        const char *path = look_in(a, folder, "", name, mode);
        if (!path)
                path = look_in(a, folder, below, name, mode);
        if (!path)
                return pg_fail(err, PG_EOS,
                               "%s is missing: expected in %.180s or %.180s%s; install perfgate again", name,
                               folder, folder, below);
        *ret = path;
        return true;
}

bool pg_install_find(struct pg_arena *a, struct pg_install *ret, struct pg_error *err)
{
        char folder[PATH_MAX];
        struct pg_install found;
        if (!own_folder(folder, err) ||
            !find(a, folder, "/" PG_LIBEXEC_FROM_BIN, HELPER_NAME, X_OK, &found.helper_path, err) ||
            !find(a, folder, "/" PG_LIBDIR_FROM_BIN, AGENT_NAME, R_OK, &found.agent_path, err) ||
            !find(a, folder, "/" PG_LIBDIR_FROM_BIN, SAMPLER_NAME, R_OK, &found.sampler_path, err) ||
            !find(a, folder, "/" PG_LIBDIR_FROM_BIN, LOCKS_NAME, R_OK, &found.locks_path, err))
                return false;
        *ret = found;
        return true;
}

bool pg_install_find_probe(struct pg_arena *a, struct pg_probe_install *ret, struct pg_error *err)
{
        char folder[PATH_MAX];
        struct pg_probe_install found;
        if (!own_folder(folder, err) ||
            !find(a, folder, "/" PG_LIBDIR_FROM_BIN, PROBE_NAME, R_OK, &found.probe_path, err) ||
            !find(a, folder, "/" PG_LIBDIR_FROM_BIN, BLANK_NAME, R_OK, &found.blank_path, err))
                return false;
        *ret = found;
        return true;
}

// SPDX-License-Identifier: MIT
/*
 * outside.c - a run under an engine, and questions about what came.
 */
#include "tests/engine/outside.h"

#include <fcntl.h>
#include <gelf.h>
#include <string.h>
#include <unistd.h>

static void give_up(const char *what, const struct pg_error *err)
{
        fprintf(stderr, "%s: %s\n", what, err->text);
        exit(2);
}

struct hook {
        const struct pg_engine_ops *engine;
        struct pg_engine_session *session;
};

static bool before_exec(void *user, pid_t pid, struct pg_error *err)
{
        const struct hook *h = user;
        return h->engine->before_exec(h->session, pid, err);
}

static void sum_up(struct profiled *p)
{
        for (size_t i = 0; i < p->captured->n_processes; i++) {
                const struct pg_captured_process *c = &p->captured->processes[i];
                p->samples += c->sample_count;
                p->weight_ns += c->sample_weight_ns;
                p->lost_samples += c->lost_samples;
                p->truncated += c->quality.truncated;
                p->unknown += c->quality.unknown;
        }
}

void profile(const struct pg_engine_ops *engine, const char *const *argv, struct pg_engine_request request,
             struct profiled *ret)
{
        struct pg_error err = { 0 };
        struct pg_launcher *launcher = NULL;
        struct hook hook = { engine, NULL };
        if (!pg_launcher_create(HELPER, &launcher, &err))
                give_up("launcher", &err);
        if (!engine->start(&request, &hook.session, &err))
                give_up("start", &err);
        char folder[] = "/tmp/perfgate-profiled-XXXXXX",
             command[64]; // Node.js leaves files in its working directory
        if (!mkdtemp(folder))
                give_up(folder, &err);
        const struct pg_launch_request launch = { .argv = argv,
                                                  .envp = (const char *const *)environ,
                                                  .cwd = folder,
                                                  .output = PG_OUTPUT_DISCARD,
                                                  .before_exec = before_exec,
                                                  .user = &hook };
        memset(ret, 0, sizeof(*ret));
        ret->arena = pg_arena_create();
        if (!pg_launch(launcher, &launch, NULL, &ret->result, &err))
                give_up("launch", &err);
        if (!engine->collect(hook.session, ret->arena, &ret->captured, &err))
                give_up("collect", &err);
        ret->next = request;
        ret->again = engine->again ? engine->again(hook.session, &ret->next, ret->arena) : NULL;
        engine->stop(hook.session);
        pg_launcher_destroy(launcher);
        snprintf(command, sizeof(command), "rm -rf '%s'", folder);
        if (system(command) != 0)
                give_up(command, &err);
        sum_up(ret);
}

void profile_best(const struct pg_engine_ops *engine, const char *const *argv,
                  struct pg_engine_request request, struct profiled *ret)
{
        profile(engine, argv, request, ret);
        for (int i = 0; ret->again && i < 4; i++) {
                request = ret->next;
                profiled_free(ret);
                profile(engine, argv, request, ret);
        }
}

void profiled_free(struct profiled *p)
{
        pg_arena_destroy(p->arena);
}

/* ---- functions ------------------------------------------------------------------------------------------- */

struct range {
        uint64_t start, end;
};

static struct range function_range(const char *program, const char *function)
{
        struct range found = { 0, 0 };
        elf_version(EV_CURRENT);
        int fd = open(program, O_RDONLY | O_CLOEXEC);
        Elf *e = elf_begin(fd, ELF_C_READ, NULL);
        for (Elf_Scn *s = NULL; (s = elf_nextscn(e, s));) {
                GElf_Shdr h;
                GElf_Sym symbol;
                Elf_Data *d;
                if (!gelf_getshdr(s, &h) || h.sh_type != SHT_SYMTAB || !(d = elf_getdata(s, NULL)))
                        continue;
                for (int i = 0; gelf_getsym(d, i, &symbol); i++)
                        if (strcmp(elf_strptr(e, h.sh_link, symbol.st_name), function) == 0)
                                found = (struct range){ symbol.st_value, symbol.st_value + symbol.st_size };
        }
        elf_end(e);
        close(fd);
        if (found.end == found.start) {
                fprintf(stderr, "no function '%s' in '%s'\n", function, program);
                exit(2);
        }
        return found;
}

static bool is_in(const struct pg_captured_process *c, pg_place place, const char *program, struct range r)
{
        uint32_t module = PG_PLACE_MODULE(place);
        return module < c->n_modules && strcmp(c->modules[module].path, program) == 0 &&
               PG_PLACE_ADDRESS(place) >= r.start && PG_PLACE_ADDRESS(place) < r.end;
}

static uint64_t sum_ns(const struct profiled *p, const char *program, const char *function, bool anywhere)
{
        struct range r = function_range(program, function);
        uint64_t sum = 0;
        for (size_t i = 0; i < p->captured->n_processes; i++) {
                const struct pg_captured_process *c = &p->captured->processes[i];
                for (uint32_t n = 1; n < c->n_nodes; n++)
                        for (uint32_t at = n; at; at = anywhere ? c->nodes[at].parent : 0)
                                if (is_in(c, c->nodes[at].place, program, r)) {
                                        sum += c->nodes[n].amount;
                                        break;
                                }
        }
        return sum;
}

uint64_t self_ns(const struct profiled *p, const char *program, const char *function)
{
        return sum_ns(p, program, function, false);
}

uint64_t total_ns(const struct profiled *p, const char *program, const char *function)
{
        return sum_ns(p, program, function, true);
}

double complete(const struct profiled *p)
{
        return p->samples ? 1 - (double)(p->truncated + p->unknown) / (double)p->samples : 0;
}

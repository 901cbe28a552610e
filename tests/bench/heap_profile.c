// SPDX-License-Identifier: MIT
/*
 * heap_profile.c - `bench_heap_profile [--all] STACKS FRAMES OUT FILE...`: from captured stacks to a pprof file.
 *
 * Makes one captured process with about STACKS stacks of FRAMES frames on average, as a compiler has them: recursive
 * descent below a thin trunk, a few hot stacks and very many cold ones, addresses in the code of the ELF files. Then
 * does what a pass does with it and prints what CPU time each step took, so that the slow one is seen.
 */
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runner/base/clock.h"
#include "runner/measure/call_tree.h"

enum { MODULES_MAX = 8, PLACES = 60000 };

static struct pg_captured_module modules[MODULES_MAX];
static uint64_t code_start[MODULES_MAX], code_size[MODULES_MAX];
static size_t n_modules;

static uint64_t state = 88172645463325252ull;

static uint64_t next_random(void)
{
        state ^= state << 13;
        state ^= state >> 7;
        return state ^= state << 17;
}

static bool add_file(const char *path)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        Elf *elf = fd < 0 ? NULL : elf_begin(fd, ELF_C_READ, NULL);
        size_t n = 0;
        if (elf && elf_getphdrnum(elf, &n) != 0)
                n = 0;
        for (size_t i = 0; i < n; i++) {
                GElf_Phdr p;
                if (gelf_getphdr(elf, (int)i, &p) && p.p_type == PT_LOAD && (p.p_flags & PF_X) &&
                    p.p_filesz > code_size[n_modules]) {
                        code_start[n_modules] = p.p_vaddr;
                        code_size[n_modules] = p.p_filesz;
                }
        }
        elf_end(elf);
        if (fd >= 0)
                close(fd);
        uint64_t bias = 0x100000000ull * (n_modules + 1);
        modules[n_modules] =
                (struct pg_captured_module){ .path = path,
                                             .start = bias,
                                             .end = bias + code_start[n_modules] + code_size[n_modules],
                                             .bias = bias,
                                             .is_main = n_modules == 0 };
        return code_size[n_modules++] > 0;
}

/* One of PLACES call sites; low numbers are met much more often, as in programs. */
static pg_place place(void)
{
        uint64_t r = next_random() % PLACES, k = r * (next_random() % PLACES) / PLACES;
        size_t module = k % n_modules;
        uint64_t offset = k * 0x9e3779b97f4a7c15ull % code_size[module];
        return PG_PLACE(module, code_start[module] + offset);
}

/* A tree of n nodes whose depth is about `frames`: each node goes on from one of the newest. */
static struct pg_captured_node *make_nodes(size_t n, unsigned frames, size_t *ret_stacks)
{
        struct pg_captured_node *nodes = calloc(n, sizeof(*nodes));
        uint16_t *depth = calloc(n, sizeof(*depth));
        *ret_stacks = 0;
        if (!nodes || !depth)
                return NULL;
        for (size_t i = 1; i < n; i++) {
                uint32_t parent = (uint32_t)i - 1;
                unsigned aim = frames / 2 + (unsigned)(next_random() % frames);
                while (depth[parent] >= aim && parent)
                        for (unsigned up = 1 + (unsigned)(next_random() % 6); up && parent; up--)
                                parent = nodes[parent].parent;
                nodes[i].parent = parent;
                nodes[i].place = place();
                depth[i] = (uint16_t)(depth[parent] + 1);
                if (next_random() % 2)
                        continue;
                uint64_t hot = next_random() % 1000 == 0 ? 1000 : 1;
                nodes[i].count = hot * (1 + next_random() % 4);
                nodes[i].amount = nodes[i].count * (16 + next_random() % 240);
                nodes[i].peak_blocks = next_random() % 8 == 0;
                nodes[i].peak_bytes = nodes[i].peak_blocks * 64;
                ++*ret_stacks;
        }
        free(depth);
        return nodes;
}

static uint64_t cpu_now_ns(void)
{
        struct timespec t;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        return (uint64_t)t.tv_sec * PG_NS_PER_S + (uint64_t)t.tv_nsec;
}

static uint64_t step_start_ns;

static void step(const char *what)
{
        uint64_t now = cpu_now_ns();
        if (what)
                printf("%-28s %7.1f ms\n", what, (double)(now - step_start_ns) / 1e6);
        step_start_ns = cpu_now_ns();
}

static bool run(const struct pg_captured *c, bool all, const char *out, struct pg_arena *a,
                struct pg_error *err)
{
        struct pg_code_map *map = pg_code_map_create(a);
        struct pg_call_tree *tree = map ? pg_call_tree_create(map) : NULL;
        struct pg_profile_builder *b = pg_profile_builder_create(PG_PROFILE_HEAP, 1);
        if (!tree || !b)
                return pg_fail_nomem(err);
        uint64_t start = cpu_now_ns();
        step(NULL);
        if (!pg_call_tree_add_run(tree, c, "/agent.so", PG_AGENT_TO_CALLER, err))
                return false;
        step("merge");
        struct pg_fold fold = { 0 };
        if (!all)
                pg_call_tree_fold(tree, &fold);
        step("fold");
        uint8_t *marks = calloc(pg_code_map_count(map), 1);
        if (!marks)
                return pg_fail_nomem(err);
        pg_call_tree_mark_points(tree, marks);
        size_t marked = 0;
        for (size_t i = 0; i < pg_code_map_count(map); i++)
                marked += marks[i];
        step("mark");
        if (!pg_code_map_symbolize(map, marks, err))
                return false;
        step("symbolize");
        struct pg_profile *p = NULL;
        if (!pg_code_map_export_program(map, b, err) || !pg_call_tree_export(tree, b, err))
                return false;
        step("export");
        if (!pg_profile_finish(b, 0, 0, &p, err))
                return false;
        step("sort");
        if (!pg_pprof_save(out, p, err))
                return false;
        step("write");
        printf("%-28s %7.1f ms; %zu samples, %llu folded; %zu of %zu places\n", "all",
               (double)(cpu_now_ns() - start) / 1e6, p->n_samples, (unsigned long long)fold.folded, marked,
               pg_code_map_count(map));
        free(marks);
        pg_profile_destroy(p);
        pg_profile_builder_destroy(b);
        pg_call_tree_destroy(tree);
        pg_code_map_destroy(map);
        return true;
}

int main(int argc, char **argv)
{
        bool all = argc > 1 && strcmp(argv[1], "--all") == 0;
        argc -= all;
        argv += all;
        if (argc < 5 || argc - 4 > MODULES_MAX) {
                fputs("usage: bench_heap_profile [--all] STACKS FRAMES OUT FILE...\n", stderr);
                return 1;
        }
        elf_version(EV_CURRENT);
        for (int i = 4; i < argc; i++)
                if (!add_file(argv[i])) {
                        fprintf(stderr, "bench_heap_profile: '%s' is not an ELF file with code\n", argv[i]);
                        return 1;
                }
        size_t stacks = 0;
        struct pg_captured_process process = { .program = argv[4],
                                               .modules = modules,
                                               .n_modules = n_modules };
        process.n_nodes = 2 * strtoul(argv[1], NULL, 10);
        process.nodes = make_nodes(process.n_nodes, (unsigned)strtoul(argv[2], NULL, 10), &stacks);
        printf("%zu nodes, %zu stacks\n", process.n_nodes, stacks);
        const struct pg_captured c = { .processes = &process, .n_processes = 1 };
        struct pg_error err = { 0 };
        PG_AUTO_ARENA struct pg_arena *a = pg_arena_create();
        if (!process.nodes || !a || !run(&c, all, argv[3], a, &err)) {
                fprintf(stderr, "bench_heap_profile: %s\n", err.code ? err.text : "out of memory");
                return 1;
        }
        free(process.nodes);
        return 0;
}

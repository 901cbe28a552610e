// SPDX-License-Identifier: MIT
/*
 * oracle_malloc.c - a library for tests, preloaded in front of the agent: for every ORACLE_EVERY-th allocation of
 * a thread it walks the stack with libunwind and compares with what the agent has just written for that event.
 *
 * The agent is the one that ships. What it wrote is read as the runner would read it, from the shared memory that
 * the process has mapped: the cell of this thread names the node of its newest block. The innermost frame of the
 * agent's stack is this library's function; it is left out on both sides.
 *
 * Results go to the file ORACLE_FILE, which holds a struct verdict_sums. Not for production: libunwind takes locks.
 */
#define UNW_LOCAL_ONLY
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libunwind.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runner/capture/layout.h"
#include "tests/programs/verdict.h"

#define EXPORTED __attribute__((visibility("default")))
#define THREAD   static _Thread_local __attribute__((tls_model("initial-exec")))

static struct verdict_sums *sums;
static unsigned long every;

/* What the agent has mapped in this process. */
static struct {
        pid_t pid; // of the process that looked; 0: nobody yet
        struct pg_slot *slot;
        struct pg_cell *cells;
        uint64_t slot_number;
        struct pg_node *nodes_of[PG_SLOTS_MAX]; // by slot
} mapped;

THREAD unsigned long events; // of this thread, once each
THREAD bool inside;
static struct verdict_stack ours, theirs; // by one thread at a time
static atomic_flag busy = ATOMIC_FLAG_INIT;

/* ---- the agent's memory ---- */

/* A forked child still has its parent's parts. */
static void see_mapping(uint64_t start, uint64_t offset)
{
        if (offset < PG_CAPTURE_PAGE)
                return;
        uint64_t slot = (offset - PG_CAPTURE_PAGE) / PG_SLOT_BYTES,
                 inside_slot = (offset - PG_CAPTURE_PAGE) % PG_SLOT_BYTES;
        if (inside_slot == 0 && ((struct pg_slot *)start)->pid == getpid()) {
                mapped.slot = (struct pg_slot *)start;
                mapped.cells = (struct pg_cell *)(start + PG_OFFSET_CELLS);
                mapped.slot_number = slot;
        }
        if (inside_slot == PG_OFFSET_NODES && slot < PG_SLOTS_MAX)
                mapped.nodes_of[slot] = (struct pg_node *)start;
}

static void find_mappings(void)
{
        static char text[1 << 18];
        size_t n = 0;
        int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
        for (ssize_t got;
             fd >= 0 && n < sizeof(text) - 1 && (got = read(fd, text + n, sizeof(text) - 1 - n)) > 0;)
                n += (size_t)got;
        close(fd);
        text[n] = '\0';
        mapped.slot = NULL;
        memset(mapped.nodes_of, 0, sizeof(mapped.nodes_of));
        for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
                *end = '\0';
                unsigned long start, offset;
                if (strstr(line, "/memfd:perfgate") && sscanf(line, "%lx-%*x %*s %lx", &start, &offset) == 2)
                        see_mapping(start, offset);
        }
        mapped.pid = getpid();
}

static const struct pg_cell *own_cell(void)
{
        for (uint32_t i = 1; i < mapped.slot->n_cells && i < PG_CELLS_MAX; i++)
                if (mapped.cells[i].tid == gettid())
                        return &mapped.cells[i];
        return NULL;
}

static bool is_pseudo(pg_place place)
{
        return PG_PLACE_MODULE(place) == PG_MODULE_NONE && PG_PLACE_ADDRESS(place) < PG_NODE_FIRST;
}

/* The agent's stack of the block at p, without its innermost frame. */
static bool read_ours(const void *p, struct verdict_stack *ret)
{
        if (mapped.pid != getpid())
                find_mappings();
        const struct pg_cell *c = mapped.slot ? own_cell() : NULL;
        const struct pg_node *nodes = mapped.nodes_of[mapped.slot_number];
        if (!c || !nodes || c->last_address != (uint64_t)(uintptr_t)p)
                return false;
        ret->n = 0;
        ret->complete = true;
        for (uint32_t node = c->last_node; node; node = nodes[node].parent) {
                pg_place place = nodes[node].place;
                if (is_pseudo(place))
                        ret->complete = false;
                else if (node != c->last_node)
                        ret->address[ret->n++] = PG_PLACE_ADDRESS(place);
        }
        return true;
}

/* ---- libunwind ---- */

static void read_theirs(const void *caller, struct verdict_stack *ret)
{
        unw_context_t context;
        unw_cursor_t cursor;
        unw_word_t ip;
        bool found = false;
        int more = 1;
        *ret = (struct verdict_stack){ .n = 0 };
        unw_getcontext(&context);
        unw_init_local(&cursor, &context);
        for (; more > 0 && ret->n < VERDICT_FRAMES; more = unw_step(&cursor)) {
                if (unw_get_reg(&cursor, UNW_REG_IP, &ip) != 0 || ip == 0)
                        break;
                found = found || ip == (uint64_t)(uintptr_t)caller;
                if (found) {
                        ret->exact[ret->n] =
                                unw_is_signal_frame(&cursor) > 0; // of the frame that a signal interrupted
                        ret->address[ret->n++] = ip;
                }
        }
        ret->complete = more == 0;
}

/* ---- both ---- */

static void name_module(struct verdict_example *e, uint32_t which, uint64_t address)
{
        struct dl_find_object o;
        e->module_address[which] = address;
        snprintf(e->module[which], sizeof(e->module[which]), "[none]");
        if (_dl_find_object((void *)(uintptr_t)address, &o) != 0)
                return;
        const char *path = o.dlfo_link_map->l_name, *slash = strrchr(path, '/');
        snprintf(e->module[which], sizeof(e->module[which]), "%s",
                 slash   ? slash + 1
                 : *path ? path
                         : "[main]");
        e->module_address[which] = address - o.dlfo_link_map->l_addr;
}

static __attribute__((noinline)) void compare(const void *p, const void *caller)
{
        if (!read_ours(p, &ours)) {
                atomic_fetch_add(&sums->unseen, 1);
                return;
        }
        read_theirs(caller, &theirs);
        uint32_t at;
        enum verdict v = verdict_of(&ours, &theirs, &at);
        struct verdict_example *e = verdict_add(sums, v, at, CLASS_NONE, &ours, &theirs);
        if (!e)
                return;
        for (uint32_t i = 0; i < VERDICT_NAMED && e->from + i < ours.n; i++)
                name_module(e, i, ours.address[e->from + i]);
}

static void seen(const void *p, const void *caller)
{
        if (!p || !sums || inside || ++events % every != 0 || atomic_flag_test_and_set(&busy))
                return;
        int saved_errno = errno;
        inside = true;
        compare(p, caller);
        inside = false;
        errno = saved_errno;
        atomic_flag_clear(&busy);
}

/* ---- what is interposed ---- */

static struct {
        void *(*malloc)(size_t n);
        void *(*calloc)(size_t n, size_t size);
        void *(*realloc)(void *p, size_t n);
        void *(*operator_new)(size_t n);
        void *(*operator_new_array)(size_t n);
} next;

static void resolve(void)
{
        next.operator_new = (void *(*)(size_t))dlsym(RTLD_NEXT, "_Znwm");
        next.operator_new_array = (void *(*)(size_t))dlsym(RTLD_NEXT, "_Znam");
        next.realloc = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, "realloc");
        next.calloc = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "calloc");
        next.malloc = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
}

EXPORTED void *malloc(size_t n)
{
        if (!next.malloc)
                resolve();
        void *p = next.malloc(n);
        seen(p, __builtin_return_address(0));
        return p;
}

EXPORTED void *calloc(size_t n, size_t size)
{
        if (!next.malloc)
                resolve();
        void *p = next.calloc(n, size);
        seen(p, __builtin_return_address(0));
        return p;
}

EXPORTED void *realloc(void *p, size_t n)
{
        if (!next.malloc)
                resolve();
        void *q = next.realloc(p, n);
        seen(q, __builtin_return_address(0));
        return q;
}

/* Whether the C++ library's operator comes to malloc here, which has seen the event then, is the agent's choice. */
EXPORTED void *operator_new(size_t n) __asm__("_Znwm");
EXPORTED void *operator_new_array(size_t n) __asm__("_Znam");

void *operator_new(size_t n)
{
        if (!next.malloc)
                resolve();
        unsigned long before = events;
        void *p = next.operator_new(n);
        if (events == before)
                seen(p, __builtin_return_address(0));
        return p;
}

void *operator_new_array(size_t n)
{
        if (!next.malloc)
                resolve();
        unsigned long before = events;
        void *p = next.operator_new_array(n);
        if (events == before)
                seen(p, __builtin_return_address(0));
        return p;
}

/* A forked child's other threads are gone, and with them who may have been busy. */
static void after_fork(void)
{
        atomic_flag_clear(&busy);
}

__attribute__((constructor)) static void start(void)
{
        const char *path = getenv("ORACLE_FILE"), *n = getenv("ORACLE_EVERY");
        int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
        void *p = fd >= 0 ? mmap(NULL, sizeof(*sums), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
        close(fd);
        every = n ? strtoul(n, NULL, 10) : 0;
        if (p != MAP_FAILED && every && pthread_atfork(NULL, NULL, after_fork) == 0)
                sums = p;
}

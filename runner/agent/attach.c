// SPDX-License-Identifier: MIT
/*
 * attach.c - finds the runner's file, claims a slot, maps it; does the same again in forked children.
 *
 * The constructor runs before those of all other libraries (-z initfirst), gets the environment as an
 * argument and makes system calls only. A forked child is noticed by a page that the kernel wipes in it, so
 * that fork by any door (libc, raw clone) is seen, and a vfork child, which shares the memory, is not.
 */
#include "runner/agent/attach.h"

#include <stdalign.h>
#include <dlfcn.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/resource.h>

#include "runner/agent/count.h"
#include "runner/agent/glibc.h"
#include "runner/agent/modules.h"
#include "runner/agent/raw.h"
#include "runner/agent/sampler.h"
#include "runner/base/clock.h"

struct agent_process agent;

enum { AGENT_FD_PATH_MAX = 64 };

static struct {
        alignas(PG_CAPTURE_PAGE) _Atomic uint32_t generation;
        char rest[PG_CAPTURE_PAGE - sizeof(uint32_t)];
} wiped;
_Static_assert(sizeof(wiped) == PG_CAPTURE_PAGE, "the generation has its page alone");
extern _Atomic uint32_t agent_generation __attribute__((alias("wiped"), visibility("hidden")));

/* What the variable says. */
struct settings {
        char fd_path[AGENT_FD_PATH_MAX];
        uint64_t key;
};
static struct settings settings;
static _Atomic uint32_t last_generation; // never wiped: numbers are not used twice in a line of forks

/* ---- the variable ---------------------------------------------------------------------------------------
 */

static const char *find_variable(char **envp, const char *name)
{
        size_t n = strlen(name);
        for (; envp && *envp; envp++)
                if (strncmp(*envp, name, n) == 0 && (*envp)[n] == '=')
                        return *envp + n + 1;
        return NULL;
}

static bool parse_hex(const char *s, size_t n, uint64_t *ret)
{
        uint64_t v = 0;
        if (n == 0 || n > 16)
                return false;
        for (size_t i = 0; i < n; i++) {
                int digit = s[i] >= '0' && s[i] <= '9'   ? s[i] - '0'
                            : s[i] >= 'a' && s[i] <= 'f' ? s[i] - 'a' + 10
                                                         : -1;
                if (digit < 0)
                        return false;
                v = v << 4 | (uint64_t)digit;
        }
        *ret = v;
        return true;
}

static bool copy_text(const char *s, size_t n, char *out, size_t size)
{
        if (n == 0 || n >= size)
                return false;
        memcpy(out, s, n);
        out[n] = '\0';
        return true;
}

static bool name_is(const char *field, size_t n, const char *name)
{
        return strlen(name) == n && memcmp(field, name, n) == 0;
}

/* One "name=value"; mode and rate are for people, the header has them too; clock is the sampler's. Unknown names are
 * errors: the runner is another version. */
static bool parse_field(const char *field, size_t n)
{
        const char *equals = memchr(field, '=', n);
        if (!equals)
                return false;
        size_t name = (size_t)(equals - field);
        const char *value = equals + 1;
        size_t length = n - name - 1;
        if (name_is(field, name, "fd"))
                return copy_text(value, length, settings.fd_path, sizeof(settings.fd_path));
        if (name_is(field, name, "key"))
                return parse_hex(value, length, &settings.key);
        return name_is(field, name, "mode") || name_is(field, name, "rate") || name_is(field, name, "clock");
}

static bool parse_variable(const char *s)
{
        if (!s || !copy_text(s, strlen(s), agent.value, sizeof(agent.value)))
                return false;
        for (;;) {
                size_t n = strcspn(s, ",");
                if (!parse_field(s, n))
                        return false;
                if (s[n] == '\0')
                        return settings.fd_path[0] != '\0';
                s += n + 1;
        }
}

/* ---- the slot --------------------------------------------------------------------------------------------
 */

static bool header_is_ours(const struct pg_file_header *h)
{
        return h->magic == PG_CAPTURE_MAGIC && h->version == PG_CAPTURE_VERSION &&
               h->header_bytes == sizeof(*h) && h->key == settings.key && h->slot_size == PG_SLOT_BYTES &&
               h->n_slots <= PG_SLOTS_MAX && h->mode == agent_mode;
}

static bool map_header(int fd)
{
        struct pg_file_header *h = raw_map_shared(fd, 0, PG_CAPTURE_PAGE);
        if (!h)
                return false;
        if (!header_is_ours(h)) {
                raw_unmap(h, PG_CAPTURE_PAGE);
                return false;
        }
        agent.header = h;
        return true;
}

static bool claim_index(uint32_t *ret)
{
        uint32_t i = atomic_fetch_add_explicit(&agent.header->next_slot, 1, memory_order_relaxed);
        if (i < agent.header->n_slots) {
                *ret = i;
                return true;
        }
        atomic_fetch_add_explicit(&agent.header->slots_refused, 1, memory_order_relaxed);
        return false;
}

/* A child without a free descriptor, or that may no longer open the file (chroot, other user), duplicates the
 * header's mapping, stretched to the slot's end, and gives back all but the slot. */
static void *stretch_header(uint64_t offset, size_t size)
{
        long r = raw_call(SYS_mremap, (long)agent.header, 0, (long)(offset + size), MREMAP_MAYMOVE, 0, 0);
        if (r < 0 && r > -4096)
                return NULL;
        raw_unmap((void *)r, offset);
        return (char *)r + offset;
}

/* A part of slot index; NULL when it cannot be had. */
static void *map_part(int fd, uint32_t index, uint64_t offset, size_t size)
{
        offset += PG_CAPTURE_PAGE + (uint64_t)index * PG_SLOT_BYTES;
        void *p = fd >= 0 ? raw_map_shared(fd, offset, size) : NULL;
        return p ? p : stretch_header(offset, size);
}

static void use_slot(unsigned char *base)
{
        agent.slot = (struct pg_slot *)base;
        agent.modules = (struct pg_module *)(base + PG_OFFSET_MODULES);
        agent.cells = (struct pg_cell *)(base + PG_OFFSET_CELLS);
        agent.journal = (struct pg_started *)(base + PG_OFFSET_JOURNAL);
}

enum { LEAST_ENTRIES = 4096 };

/* How many nodes or blocks to map. Address space is the target's: of a limited one a small part will do. */
static uint32_t affordable(uint32_t wanted)
{
        enum { PART = 64, BYTES_EACH = 64 };
        struct rlimit limit = { .rlim_cur = RLIM_INFINITY };
        raw_call(SYS_prlimit64, 0, RLIMIT_AS, 0, (long)&limit, 0, 0);
        while (wanted > LEAST_ENTRIES && limit.rlim_cur != RLIM_INFINITY &&
               (uint64_t)wanted * BYTES_EACH > limit.rlim_cur / PART)
                wanted /= 2;
        return wanted;
}

static void unmap_part(void *p, size_t size)
{
        if (p)
                raw_unmap(p, size);
}

/* Whether the target's heap and stacks can still grow by a little. */
static bool leaves_room(void)
{
        enum { ROOM_BYTES = 16 << 20 };
        void *p = raw_map_private(ROOM_BYTES);
        unmap_part(p, ROOM_BYTES);
        return p;
}

/* NULL: there is not even room for a few. What room there is else is left to the target. */
static struct pg_node *map_nodes(int fd, uint32_t index, uint32_t *ret_n)
{
        const uint32_t n[] = { affordable(PG_NODES_MAX), LEAST_ENTRIES };
        for (size_t i = 0; i < sizeof(n) / sizeof(*n); i++) {
                struct pg_node *nodes = map_part(fd, index, PG_OFFSET_NODES, n[i] * sizeof(*nodes));
                if (nodes) {
                        *ret_n = n[i];
                        return nodes;
                }
        }
        return NULL;
}

/* All or nothing: the parts are worth nothing alone. */
static void map_live(int fd, uint32_t index)
{
        uint32_t live = agent.header->live, n_nodes = agent.slot->nodes_limit;
        agent.live_blocks = NULL;
        if (agent.header->mode != PG_MODE_COUNT || live == PG_LIVE_OFF)
                return;
        uint32_t n = affordable(live == PG_LIVE_EXACT ? PG_LIVE_EXACT_BLOCKS : PG_LIVE_SAMPLED_BLOCKS);
        void *peaks = map_part(fd, index, PG_OFFSET_PEAKS, n_nodes * sizeof(struct pg_node_peak));
        void *blocks = map_part(fd, index, PG_OFFSET_LIVE_BLOCKS, n * sizeof(struct pg_live_block));
        if (!peaks || !blocks || !leaves_room()) {
                unmap_part(peaks, n_nodes * sizeof(struct pg_node_peak));
                unmap_part(blocks, n * sizeof(struct pg_live_block));
                return;
        }
        agent.peaks = peaks;
        agent.live_blocks = blocks;
        agent.live_mask = n / PG_LIVE_BUCKET - 1;
        agent.slot->live_buckets = n / PG_LIVE_BUCKET;
}

static void fill_nodes(void)
{
        for (uint32_t i = 1; i < PG_NODE_FIRST; i++)
                atomic_store_explicit(&agent.nodes[i].place, PG_PLACE(PG_MODULE_NONE, i),
                                      memory_order_relaxed);
        atomic_store_explicit(&agent.slot->n_nodes, PG_NODE_CHUNK, memory_order_relaxed);
}

static void fill_slot(bool forked, int64_t inherited)
{
        struct pg_slot *s = agent.slot;
        s->pid = agent.pid;
        s->ppid = raw_getppid();
        s->start_ns = pg_now_ns();
        s->forked = forked;
        raw_program_path(s->program);
        s->inherited_bytes = (uint64_t)inherited;
        atomic_store_explicit(&s->live_bytes, inherited, memory_order_relaxed);
        atomic_store_explicit(&s->peak_bytes, inherited, memory_order_relaxed);
        atomic_store_explicit(&s->peak, 1, memory_order_relaxed);
        fill_nodes();
        atomic_store_explicit(&s->n_cells, 1, memory_order_relaxed); // cell 0 is the shared one
        atomic_store_explicit(&s->state, PG_SLOT_RUNNING, memory_order_release);
}

/* Rules that are cached in a forked child name modules by their number in the parent's table. */
static void inherit_modules(const struct pg_module *parent, uint32_t n)
{
        n = n < PG_MODULES_MAX ? n : PG_MODULES_MAX;
        memcpy(agent.modules, parent, n * sizeof(*parent));
        atomic_store_explicit(&agent.slot->n_modules, n, memory_order_relaxed);
}

/* Without its nodes a slot is of no use, and with it the target has to live. */
static unsigned char *map_slot(int fd, uint32_t index, struct pg_node **ret_nodes, uint32_t *ret_n_nodes)
{
        unsigned char *base = map_part(fd, index, 0, PG_OFFSET_NODES);
        struct pg_node *nodes = base ? map_nodes(fd, index, ret_n_nodes) : NULL;
        if (!nodes || !leaves_room()) {
                unmap_part(nodes, *ret_n_nodes * sizeof(*nodes));
                unmap_part(base, PG_OFFSET_NODES);
                atomic_fetch_add_explicit(&agent.header->attach_failures, 1, memory_order_relaxed);
                return NULL;
        }
        *ret_nodes = nodes;
        return base;
}

static bool take_slot(int fd, bool forked, int64_t inherited)
{
        uint32_t index, n_nodes = 0;
        struct pg_node *nodes;
        if (!claim_index(&index))
                return false;
        unsigned char *base = map_slot(fd, index, &nodes, &n_nodes);
        if (!base)
                return false;
        const struct pg_module *modules = agent.modules;
        uint32_t n_modules = forked ? atomic_load_explicit(&agent.slot->n_modules, memory_order_relaxed) : 0;
        use_slot(base);
        inherit_modules(modules, n_modules);
        agent.nodes = nodes;
        agent.slot->nodes_limit = n_nodes;
        map_live(fd, index);
        agent.pid = raw_getpid();
        agent.borrowed = false;
        fill_slot(forked, inherited);
        return true;
}

/* ---- the process -----------------------------------------------------------------------------------------
 */

void agent_next_generation(void)
{
        uint32_t next = atomic_fetch_add_explicit(&last_generation, 1, memory_order_relaxed) + 1;
        atomic_store_explicit(&agent_generation, next, memory_order_release);
}

static void remember_own_path(void)
{
        struct dl_find_object o;
        if (_dl_find_object((void *)&agent, &o) == 0)
                raw_absolute_path(o.dlfo_link_map->l_name, agent.path, sizeof(agent.path));
}

static bool attach(char **envp)
{
        if (!parse_variable(find_variable(envp, PG_AGENT_VARIABLE)))
                return false;
        int fd = raw_open_rdwr(settings.fd_path);
        if (fd < 0)
                return false;
        bool attached = map_header(fd) && take_slot(fd, false, 0);
        raw_close(fd);
        return attached;
}

__attribute__((constructor)) static void start(int argc, char **argv, char **envp)
{
        (void)argc, (void)argv;
        real_resolve();
        filter_start();
        if (!is_glibc() || !attach(envp)) {
                agent.state = AGENT_PASSIVE;
                return;
        }
        remember_own_path();
        struct dl_find_object program; // comes first in the table
        if (_dl_find_object((void *)getauxval(AT_ENTRY), &program) == 0)
                agent_module(&program);
        raw_call(SYS_madvise, (long)&wiped, sizeof(wiped), MADV_WIPEONFORK, 0, 0, 0);
        agent_next_generation();
        static const uint32_t states[] = { [PG_MODE_COUNT] = AGENT_COUNTING,
                                           [PG_MODE_SAMPLE] = AGENT_SAMPLING,
                                           [PG_MODE_LOCK] = AGENT_LOCKS };
        agent.state = states[agent.header->mode];
        if (agent.state == AGENT_SAMPLING)
                sampler_start();
        else if (agent.state == AGENT_COUNTING)
                count_start();
}

/* The parent's live heap at the fork: fork()'s wrapper has left it, else what the parent's counters say now.
 */
static int64_t inherited_bytes(void)
{
        if (agent.state != AGENT_COUNTING)
                return 0;
        return count_self.forking ? count_self.fork_live_bytes : count_live_bytes();
}

void agent_reattach_after_fork(void)
{
        if (agent.state < AGENT_COUNTING || atomic_load_explicit(&agent_generation, memory_order_acquire))
                return;
        int fd = raw_open_rdwr(settings.fd_path);
        agent.epoch++;
        if (!take_slot(fd, true, inherited_bytes())) {
                agent.borrowed = true;
                agent.pid = raw_getpid();
        }
        if (fd >= 0)
                raw_close(fd);
        agent_next_generation();
        if (agent.state == AGENT_SAMPLING)
                sampler_after_fork();
        else if (agent.state == AGENT_COUNTING)
                count_after_fork();
}

// SPDX-License-Identifier: MIT
/*
 * layout.h - the shared memory that the agent writes and the runner reads.
 *
 * One sparse memory file for each pass over a target. The runner creates it (memfd) before the start; every
 * process image of the tree maps the file's header and one slot of its own, through /proc/RUNNER/fd/N, and
 * closes the descriptor again. Counters have one writer each (or are atomic where they say so), so they are
 * exact, need no lock, and are complete at any instant: a process that is killed leaves what it counted.
 *
 *     file  = pg_file_header (one page), then n_slots slots of slot_size bytes
 *     slot  = pg_slot (one page) | modules | cells | journal | nodes | peaks | live blocks
 *
 * A slot is claimed once and never given back: fork and exec take a new one. A forked child that cannot map a
 * slot of its own goes on in its parent's, with the atomic cell, and the tree's sums stay exact.
 *
 * Everything here is written by code inside a foreign program: the reader (capture.h) checks each value.
 */
#ifndef PG_CAPTURE_LAYOUT_H
#define PG_CAPTURE_LAYOUT_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define PG_CAPTURE_MAGIC 0x3165746167667265ull // "erfgate1" in memory
enum { PG_CAPTURE_VERSION = 3 };

/* The agent's one variable: "fd=/proc/PID/fd/N,key=HEX16,mode=count|sample|lock,rate=HZ,clock=event|timer" in
 * any order; clock is for tests. */
#define PG_AGENT_VARIABLE "PERFGATE_AGENT"

enum pg_capture_mode { PG_MODE_COUNT = 1, PG_MODE_SAMPLE = 2, PG_MODE_LOCK = 3 };

/* How the counting agent attributes live bytes to stacks. */
enum pg_live { PG_LIVE_SAMPLED, PG_LIVE_EXACT, PG_LIVE_OFF };

enum {
        PG_CAPTURE_PAGE = 4096,
        PG_SLOTS_MAX = 16384,
        PG_PATH_MAX_BYTES = 1024, // longer paths are cut, with the last byte zero
        PG_MODULES_MAX = 256,
        PG_BUILD_ID_MAX = 36, // longer ones, which nobody makes, are not kept
        PG_CELLS_MAX = 16384, // threads alive at once with a cell of their own; others share the atomic cell
        PG_NODES_MAX = 1 << 22, // frames of all stacks of a process; further stacks are merged into [other]
        PG_NODE_CHUNK = 128,    // nodes that a thread takes at once: a page
        PG_LIVE_BUCKET = 8,     // places for blocks in a bucket
        PG_LIVE_CHOICES = 8,    // buckets that a block may be in
        PG_LIVE_SAMPLED_BLOCKS = 1 << 17, // places in the table of live blocks
        PG_LIVE_EXACT_BLOCKS = 1 << 24,
        PG_LIVE_CLAIMED = 1,   // no block's address
        PG_JOURNAL_MAX = 4096, // programs that were started; more are only counted
        PG_JOURNAL_PATH = 488,
        PG_STOPS_MAX = 16,
};

/* First page of the file. The runner writes all but the atomics before any target starts. */
struct pg_file_header {
        uint64_t magic;
        uint32_t version, header_bytes;
        uint64_t key; // equal to the one in PERFGATE_AGENT: a stale variable is not ours
        uint64_t slot_size;
        uint32_t n_slots;
        uint32_t mode; // enum pg_capture_mode
        uint32_t rate_hz;
        uint32_t live;         // enum pg_live
        uint32_t verify_every; // check every Nth reused stack against a full walk; 0: never
        uint64_t
                stack_interval_bytes; // 0: a stack for each allocation; else one each so many bytes on average
        _Atomic uint32_t next_slot;   // slots claimed; may run past n_slots
        _Atomic uint32_t slots_refused;   // process images that found no free slot
        _Atomic uint32_t attach_failures; // forked children that went on in their parent's slot
};

enum pg_slot_state { PG_SLOT_FREE, PG_SLOT_RUNNING, PG_SLOT_EXECED, PG_SLOT_EXITED };

enum pg_disarm { // why an agent gave up measuring
        PG_DISARM_NONE,
        PG_DISARM_NO_SYMBOLS, // the real allocator was not found
        PG_DISARM_NO_SIGNAL,  // no free signal
        PG_DISARM_NO_TIMER,   // neither perf event nor timer could be had
        PG_DISARM_FILTER,     // a seccomp filter of the target's leaves no way to sample all threads
        PG_DISARM_COUNT
};

/*
 * Journal: a program that this process image started, by exec (pid: its own, or its vfork child's) or by
 * posix_spawn, or through libc with an environment that lacks our variables (pid PG_STARTED_BARE). The reader
 * looks for the slot that the new image must have claimed; when there is none, the image ran without the
 * agent. Where libc does not tell the pid (PG_STARTED_BY_LIBC: system, popen), the program's file has to
 * answer.
 */
enum { PG_STARTED_BARE = 0, PG_STARTED_BY_LIBC = -1 };
struct pg_started {
        _Atomic uint32_t ready; // 1 when the entry is complete; 0 again when the exec failed
        int32_t pid;
        uint64_t time_ns; // CLOCK_MONOTONIC, before the start
        char path[PG_JOURNAL_PATH];
};

/* Head of a slot; atomics are shared by the process's threads. */
struct pg_slot {
        _Atomic uint32_t state; // enum pg_slot_state, written last when claiming
        int32_t pid, ppid;
        uint64_t start_ns;               // CLOCK_MONOTONIC
        _Atomic uint64_t end_ns;         // of an image that ended by exec
        _Atomic uint32_t disarm;         // enum pg_disarm
        uint32_t forked;                 // 1: by fork, inherits live heap; 0: by exec
        char program[PG_PATH_MAX_BYTES]; // /proc/self/exe

        uint64_t inherited_bytes;   // live heap that a forked child got from its parent
        _Atomic uint32_t n_threads; // threads that ever claimed a cell
        _Atomic uint32_t n_modules; // may run past PG_MODULES_MAX
        _Atomic uint32_t n_started; // may run past PG_JOURNAL_MAX
        _Atomic uint32_t n_nodes;   // handed out, in chunks; may run past nodes_limit

        /* What every event looks at and few change: lines of their own, so that threads share them in peace. */
        alignas(64) _Atomic uint32_t multi; // more than one cell was ever claimed
        _Atomic uint32_t n_cells;           // may run past PG_CELLS_MAX
        _Atomic uint32_t peak;  // number of the last peak of live_bytes (struct pg_node_peak); from 1
        _Atomic uint32_t below; // solo, 1: something was freed since, the next higher peak has another number
        _Atomic uint32_t live_level;    // which blocks are in the table (pg_live_is_hit); 0: all
        _Atomic uint32_t live_sweeping; // 1: a thread takes out what is in the sample no more
        uint32_t live_buckets;          // of the mapped table, a power of two; 0: none
        uint32_t nodes_limit;           // as many as could be mapped, at most PG_NODES_MAX

        /* Live heap, usable sizes. Exact while one thread allocates (then in its cell), within slack else. */
        alignas(64) _Atomic int64_t live_bytes; // inherited, plus the sum of what cells have flushed
        _Atomic int64_t peak_bytes;             // highest live_bytes
        _Atomic uint64_t slack_bytes;           // a cell flushes when its pending net change goes beyond this

        /* The table of live blocks. Every event looks whether it is full, and a few in a hundred change it. */
        alignas(64) _Atomic int32_t live_blocks; // but for what cells have not told yet
        _Atomic uint64_t live_lost;              // blocks that found their buckets full

        /* Stacks. */
        alignas(64) _Atomic uint64_t stacks_other; // events whose stack found no room
        _Atomic uint64_t stacks_verified;          // reused stacks that were checked against a full walk
        _Atomic uint64_t stacks_different;         // ... and differed: 0, or perfgate is wrong
        _Atomic uint64_t
                stops[PG_STOPS_MAX]; // stacks by enum pg_stop that ended them, when their last frame was new

        /* Sampling. */
        _Atomic uint32_t threads_armed, threads_unarmed;
        _Atomic uint32_t threads_task_clock; // of the armed: by a task-clock event, the others by a CPU timer
        _Atomic uint32_t signal_taken_away;  // the target replaced our handler
};

/* A loaded file. A pc is recorded as (module, address relative to bias): immune to randomisation and
 * reloading. */
struct pg_module {
        _Atomic uint32_t ready;  // 1 when the entry is complete
        uint32_t flags;          // PG_MODULE_*
        uint64_t start, end;     // mapped range when it was seen
        uint64_t bias;           // pc - bias is the address in the ELF file's own terms
        uint32_t build_id_bytes; // 0: none that could be seen
        uint8_t build_id[PG_BUILD_ID_MAX];
        char path[PG_PATH_MAX_BYTES];
};
enum { PG_MODULE_MAIN = 1, PG_MODULE_VDSO = 2 };
enum { PG_MODULE_NONE = 0xffff }; // pc in no module; the address is then absolute

/* Place in code: module index in bits 48-63, address in bits 0-47. In nodes the address is the raw one in the
 * process, as it is looked up: an interrupted instruction, or a return address minus one. */
typedef uint64_t pg_place;
#define PG_PLACE(module, address) ((pg_place)(module) << 48 | (0xffffffffffffull & (uint64_t)(address)))
#define PG_PLACE_MODULE(place)    ((uint32_t)((place) >> 48))
#define PG_PLACE_ADDRESS(place)   (0xffffffffffffull & (place))

/*
 * Counters of one thread: one writer, plain stores; only the first words are also looked at by other threads.
 * Cell 0 is the shared one, for threads without a cell and for what happened before attaching: any number of
 * writers, by atomic adds; its stacks are in [other].
 *
 * Live heap: while the process has one cell it is "solo" and keeps the exact peak itself. When a second one
 * is claimed the first one's net goes into the slot's live_bytes (flushed_bytes says so), and from then on
 * each cell adds its change whenever net - flushed leaves [-slack, slack].
 */
#define PG_NOT_FLUSHED            INT64_MIN // flushed_bytes of a solo cell

struct pg_cell {
        alignas(64) _Atomic int32_t tid; // owner; 0 when free; stays when the thread ends
        _Atomic uint32_t solo;
        _Atomic int64_t net_bytes;     // usable bytes allocated minus freed by this thread, all time
        _Atomic int64_t flushed_bytes; // part of it that is in the slot's live_bytes
        uint64_t allocations;
        uint64_t allocated_bytes; // asked for
        uint64_t frees;
        int64_t slack_bytes;
        int64_t solo_peak_bytes; // highest net while solo

        /* The block that this thread's last event gave out. */
        alignas(64) _Atomic uint64_t last_address; // 0: the last event was another one
        uint64_t last_bytes;                       // usable size
        uint32_t last_node, last_peak;             // its stack; the first peak that it is part of
        /* Its address again while it belongs into the table of live blocks and is not there yet: whoever
         * frees it looks for it here, too. For an instant it is in both. 0: it is there, or does not belong
         * there, or was freed. */
        _Atomic uint64_t pending;
        int64_t stack_until_bytes; // to the next stack, when stacks are sampled
        uint64_t random;           // state of the generator behind it
        int32_t live_change; // blocks that came into the table, minus those that left it, not told to the slot
        uint32_t reserved;
};

/*
 * Call stacks as a tree: a node is a frame below the frames of its parents, up to the outermost one, whose
 * parent is node 0. An event is counted in the node of its innermost frame. Nodes are never removed and never
 * change but for their counters. Each belongs to the cell whose thread made it, alone: plain stores; two cells
 * may have the same stack, and the reader adds them up. Nodes 1 to PG_NODE_FIRST - 1 are pseudo frames and
 * shared: atomic adds.
 */
struct pg_node {
        _Atomic uint64_t place; // pg_place with the raw address; 0: not written yet
        uint32_t parent;
        _Atomic uint32_t temporary; // of count: blocks that were freed as their thread's next event
        uint64_t count;  // allocations, samples or waits; scaled by PG_SCALE_ONE when stacks are sampled
        uint64_t amount; // their bytes asked for, CPU ns or waited ns; scaled likewise
};
enum { PG_SCALE_BITS = 16, PG_SCALE_ONE = 1 << PG_SCALE_BITS };

/* Pseudo places, with PG_MODULE_NONE; node i has PG_PLACE(PG_MODULE_NONE, i). No code lies so low. */
enum {
        PG_NODE_ROOT,
        PG_NODE_OTHER, // stacks that found no room
        /* Outermost frame of stacks that were deeper than PG_STACK_MAX or whose memory could not be read; in
         * PG_MODE_LOCK the next one below the kind of event, as an ordinary node. */
        PG_NODE_TRUNCATED,
        PG_NODE_UNKNOWN, // outermost frame of stacks whose caller could not be found
        PG_NODE_WAITER,  // PG_MODE_LOCK: outermost frame of the stacks that waited for a mutex
        PG_NODE_HOLDER, // PG_MODE_LOCK: outermost frame of the stacks that unlocked a mutex others waited for
        PG_NODE_INHERITED, // blocks that a forked child got from its parent
        PG_NODE_READER,    // as PG_NODE_WAITER: to read under a read-write lock
        PG_NODE_WRITER,    // ... to write under it
        PG_NODE_CONDITION, // ... for a condition: no contention, and not part of lock_wait
        PG_NODE_RWHOLDER,  // as PG_NODE_HOLDER: a read-write lock
        PG_NODE_RELEASER,  // ... a mutex, by waiting for a condition
        PG_NODE_FIRST = 16
};
enum { PG_STACK_MAX = 2048 }; // frames of a stack

/*
 * What was live at the highest peak and has been freed since. Peaks are numbered; a block remembers the number
 * of the first peak that it is part of, and is part of the last one when it still lives or was freed after it:
 * then it is added here, after whatever belongs to an older peak was dropped.
 */
struct pg_node_peak {
        _Atomic uint64_t bytes; // usable sizes, divided by the probability of being in the table
        _Atomic uint64_t blocks_256ths;
        _Atomic uint32_t peak;
        uint32_t reserved;
};

/* A live block, in one of the buckets of the table that its address leads to (pg_live_bucket). */
struct pg_live_block {
        _Atomic uint64_t address; // 0: nothing here; PG_LIVE_CLAIMED: being filled; else the rest is complete
        _Atomic uint64_t bytes;   // usable size
        _Atomic uint32_t node;
        _Atomic uint32_t peak; // the first peak that it is part of
};

/* Where things are in a slot. */
enum {
        PG_OFFSET_MODULES = PG_CAPTURE_PAGE,
        PG_OFFSET_CELLS = PG_OFFSET_MODULES + PG_MODULES_MAX * (int)sizeof(struct pg_module),
        PG_OFFSET_JOURNAL = PG_OFFSET_CELLS + PG_CELLS_MAX * (int)sizeof(struct pg_cell),
        PG_OFFSET_NODES =
                (PG_OFFSET_JOURNAL + PG_JOURNAL_MAX * (int)sizeof(struct pg_started) + 4095) & ~4095,
        PG_OFFSET_PEAKS = PG_OFFSET_NODES + PG_NODES_MAX * (int)sizeof(struct pg_node), // by node
        PG_OFFSET_LIVE_BLOCKS = PG_OFFSET_PEAKS + PG_NODES_MAX * (int)sizeof(struct pg_node_peak),
        PG_SLOT_BYTES = PG_OFFSET_LIVE_BLOCKS + PG_LIVE_EXACT_BLOCKS * (int)sizeof(struct pg_live_block),
};

/* The buckets of a block's address in a table of n buckets (a power of two); which < PG_LIVE_CHOICES. The
 * first keeps neighbours together, and threads apart, whose arenas lie at multiples of 64 MiB; the others
 * scatter what is aligned to pages. */
static inline uint32_t pg_live_bucket(uint64_t address, uint32_t n, uint32_t which)
{
        uint64_t h = address * 0x9e3779b97f4a7c15ull;
        uint64_t near = (address >> 7) + (address >> 22) * 0x9e3779b1ull;
        return (uint32_t)(which ? h >> (8 + 5 * which) : near) & (n - 1);
}

_Static_assert(sizeof(struct pg_file_header) <= PG_CAPTURE_PAGE, "the file header is one page");
_Static_assert(sizeof(struct pg_slot) <= PG_OFFSET_MODULES, "the slot's head fits in front of the modules");
_Static_assert(sizeof(struct pg_started) == 504, "journal entries are words");
_Static_assert(sizeof(struct pg_cell) == 128 && sizeof(struct pg_node) == 32,
               "no cell shares a cache line, no node lies in two");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "counters are used in a signal handler");

#endif

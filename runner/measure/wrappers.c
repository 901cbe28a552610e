// SPDX-License-Identifier: MIT
/*
 * wrappers.c - the tables of allocator wrappers and standard libraries that call sites are looked for above.
 *
 * A new row is a glob (fnmatch(3)) on a function's identity, and whose it is. Demangled names carry their
 * parameters, so a glob for C++ ends in '*'. A name is listed only when nobody would give it to a function
 * that does anything but allocate: what is listed wrongly hides a culprit, what is missing names one frame
 * too far in.
 */
#include "runner/measure/wrappers.h"

#include <fnmatch.h>
#include <string.h>

enum language { ANY, RUST };

static const struct row {
        const char *glob;
        const char *whose;
        enum language language; // RUST: Rust's paths are also good names for namespaces of C++
        enum pg_frame_rank rank;
} functions[] = {
        /* What the allocator itself is called, where a program brings its own in front of it. */
        { "malloc", "C", ANY, PG_FRAME_WRAPPER },
        { "calloc", "C", ANY, PG_FRAME_WRAPPER },
        { "realloc", "C", ANY, PG_FRAME_WRAPPER },
        { "reallocarray", "C", ANY, PG_FRAME_WRAPPER },
        { "memalign", "C", ANY, PG_FRAME_WRAPPER },
        { "aligned_alloc", "C", ANY, PG_FRAME_WRAPPER },
        { "posix_memalign", "C", ANY, PG_FRAME_WRAPPER },
        { "operator new*", "C++", ANY, PG_FRAME_WRAPPER },
        { "*::operator new*", "C++, of a class", ANY, PG_FRAME_WRAPPER },

        /* Allocating functions of the C library, as its headers inline them. */
        { "strdup", "C", ANY, PG_FRAME_WRAPPER },
        { "strndup", "C", ANY, PG_FRAME_WRAPPER },
        { "asprintf", "C", ANY, PG_FRAME_WRAPPER },
        { "vasprintf", "C", ANY, PG_FRAME_WRAPPER },
        { "getline", "C", ANY, PG_FRAME_WRAPPER },
        { "_obstack_*", "GNU obstacks", ANY, PG_FRAME_WRAPPER },

        /* Wrappers that end the program when there is no memory. */
        { "xmalloc", "gnulib, libiberty, git, ...", ANY, PG_FRAME_WRAPPER },
        { "xmalloc[z0]*", "git", ANY, PG_FRAME_WRAPPER },
        { "xmallocarray", "many", ANY, PG_FRAME_WRAPPER },
        { "xcalloc", "gnulib, libiberty, git, ...", ANY, PG_FRAME_WRAPPER },
        { "xrealloc", "gnulib, libiberty, git, ...", ANY, PG_FRAME_WRAPPER },
        { "xreallocarray", "gnulib", ANY, PG_FRAME_WRAPPER },
        { "xzalloc", "gnulib", ANY, PG_FRAME_WRAPPER },
        { "xnmalloc", "gnulib", ANY, PG_FRAME_WRAPPER },
        { "xnrealloc", "gnulib", ANY, PG_FRAME_WRAPPER },
        { "x2realloc", "gnulib", ANY, PG_FRAME_WRAPPER },
        { "x2nrealloc", "gnulib", ANY, PG_FRAME_WRAPPER },
        { "xcharalloc", "gnulib", ANY, PG_FRAME_WRAPPER },
        { "xpalloc", "gnulib", ANY, PG_FRAME_WRAPPER },
        { "xmemdup*", "gnulib, libiberty", ANY, PG_FRAME_WRAPPER },
        { "xstrdup*", "gnulib, libiberty, git, ...", ANY, PG_FRAME_WRAPPER },
        { "xstrndup*", "gnulib, libiberty, git, ...", ANY, PG_FRAME_WRAPPER },
        { "xasprintf", "gnulib, libiberty", ANY, PG_FRAME_WRAPPER },
        { "xvasprintf", "gnulib, libiberty", ANY, PG_FRAME_WRAPPER },
        { "do_xmalloc", "git", ANY, PG_FRAME_WRAPPER },
        { "sh_xmalloc", "bash", ANY, PG_FRAME_WRAPPER },
        { "sh_xrealloc", "bash", ANY, PG_FRAME_WRAPPER },
        { "emalloc", "BSD", ANY, PG_FRAME_WRAPPER },
        { "ecalloc", "BSD", ANY, PG_FRAME_WRAPPER },
        { "erealloc", "BSD", ANY, PG_FRAME_WRAPPER },
        { "estrdup", "BSD", ANY, PG_FRAME_WRAPPER },
        { "estrndup", "BSD", ANY, PG_FRAME_WRAPPER },
        { "safe_malloc", "many", ANY, PG_FRAME_WRAPPER },
        { "safe_calloc", "many", ANY, PG_FRAME_WRAPPER },
        { "safe_realloc", "many", ANY, PG_FRAME_WRAPPER },
        { "safe_strdup", "many", ANY, PG_FRAME_WRAPPER },

        /* Libraries and large programs. */
        { "g_malloc*", "GLib", ANY, PG_FRAME_WRAPPER },
        { "g_try_malloc*", "GLib", ANY, PG_FRAME_WRAPPER },
        { "g_realloc*", "GLib", ANY, PG_FRAME_WRAPPER },
        { "g_try_realloc*", "GLib", ANY, PG_FRAME_WRAPPER },
        { "g_aligned_alloc*", "GLib", ANY, PG_FRAME_WRAPPER },
        { "g_slice_alloc*", "GLib", ANY, PG_FRAME_WRAPPER },
        { "g_slice_copy", "GLib", ANY, PG_FRAME_WRAPPER },
        { "g_memdup*", "GLib", ANY, PG_FRAME_WRAPPER },
        { "g_strdup*", "GLib", ANY, PG_FRAME_WRAPPER },
        { "g_strndup", "GLib", ANY, PG_FRAME_WRAPPER },
        { "g_strconcat", "GLib", ANY, PG_FRAME_WRAPPER },
        { "g_strjoin*", "GLib", ANY, PG_FRAME_WRAPPER },
        { "g_vasprintf", "GLib", ANY, PG_FRAME_WRAPPER },
        { "jv_mem_*", "jq", ANY, PG_FRAME_WRAPPER },
        { "jsonp_malloc", "jansson", ANY, PG_FRAME_WRAPPER },
        { "jsonp_strdup", "jansson", ANY, PG_FRAME_WRAPPER },
        { "jsonp_strndup", "jansson", ANY, PG_FRAME_WRAPPER },
        { "zmalloc*", "Redis", ANY, PG_FRAME_WRAPPER },
        { "zcalloc*", "Redis", ANY, PG_FRAME_WRAPPER },
        { "zrealloc*", "Redis", ANY, PG_FRAME_WRAPPER },
        { "ztrymalloc*", "Redis", ANY, PG_FRAME_WRAPPER },
        { "ztrycalloc*", "Redis", ANY, PG_FRAME_WRAPPER },
        { "ztryrealloc*", "Redis", ANY, PG_FRAME_WRAPPER },
        { "zstrdup", "Redis", ANY, PG_FRAME_WRAPPER },
        { "CRYPTO_malloc", "OpenSSL", ANY, PG_FRAME_WRAPPER },
        { "CRYPTO_zalloc", "OpenSSL", ANY, PG_FRAME_WRAPPER },
        { "CRYPTO_realloc", "OpenSSL", ANY, PG_FRAME_WRAPPER },
        { "CRYPTO_clear_realloc", "OpenSSL", ANY, PG_FRAME_WRAPPER },
        { "CRYPTO_strdup", "OpenSSL", ANY, PG_FRAME_WRAPPER },
        { "CRYPTO_strndup", "OpenSSL", ANY, PG_FRAME_WRAPPER },
        { "CRYPTO_memdup", "OpenSSL", ANY, PG_FRAME_WRAPPER },
        { "sqlite3Mem[MR]*", "SQLite", ANY, PG_FRAME_WRAPPER },
        { "sqlite3Malloc*", "SQLite", ANY, PG_FRAME_WRAPPER },
        { "sqlite3Realloc*", "SQLite", ANY, PG_FRAME_WRAPPER },
        { "sqlite3DbMalloc*", "SQLite", ANY, PG_FRAME_WRAPPER },
        { "sqlite3DbRealloc*", "SQLite", ANY, PG_FRAME_WRAPPER },
        { "sqlite3DbStr*Dup", "SQLite", ANY, PG_FRAME_WRAPPER },
        { "sqlite3_malloc*", "SQLite", ANY, PG_FRAME_WRAPPER },
        { "sqlite3_realloc*", "SQLite", ANY, PG_FRAME_WRAPPER },
        { "mallocWithAlarm", "SQLite", ANY, PG_FRAME_WRAPPER },
        { "dbMallocRawFinish", "SQLite", ANY, PG_FRAME_WRAPPER },
        { "dbReallocFinish", "SQLite", ANY, PG_FRAME_WRAPPER },
        { "PyMem_*", "Python", ANY, PG_FRAME_WRAPPER },
        { "_PyMem_*", "Python", ANY, PG_FRAME_WRAPPER },
        { "PyObject_[MCR]*alloc", "Python", ANY, PG_FRAME_WRAPPER },
        { "_PyObject_[MCR]*alloc", "Python", ANY, PG_FRAME_WRAPPER },
        { "palloc*", "PostgreSQL", ANY, PG_FRAME_WRAPPER },
        { "pstrdup", "PostgreSQL", ANY, PG_FRAME_WRAPPER },
        { "MemoryContextAlloc*", "PostgreSQL", ANY, PG_FRAME_WRAPPER },
        { "AllocSet*", "PostgreSQL", ANY, PG_FRAME_WRAPPER },
        { "uv__[mcr]*alloc", "libuv", ANY, PG_FRAME_WRAPPER },
        { "uv__strdup", "libuv", ANY, PG_FRAME_WRAPPER },
        { "av_malloc*", "FFmpeg", ANY, PG_FRAME_WRAPPER },
        { "av_calloc", "FFmpeg", ANY, PG_FRAME_WRAPPER },
        { "av_realloc*", "FFmpeg", ANY, PG_FRAME_WRAPPER },
        { "av_strdup", "FFmpeg", ANY, PG_FRAME_WRAPPER },
        { "llvm::allocate_buffer*", "LLVM", ANY, PG_FRAME_WRAPPER },
        { "llvm::safe_[mcr]*alloc*", "LLVM", ANY, PG_FRAME_WRAPPER },
        { "llvm::MallocAllocator::*", "LLVM", ANY, PG_FRAME_WRAPPER },
        { "llvm::BumpPtrAllocatorImpl*", "LLVM", ANY, PG_FRAME_WRAPPER },
        { "llvm::SmallVector*", "LLVM", ANY, PG_FRAME_WRAPPER },
        { "QArrayData::*", "Qt", ANY, PG_FRAME_WRAPPER },
        { "QListData::*", "Qt", ANY, PG_FRAME_WRAPPER },
        { "QHashData::*", "Qt", ANY, PG_FRAME_WRAPPER },

        /* Standard libraries that are compiled into the program. */
        { "std::*", "C++ and Rust", ANY, PG_FRAME_LIBRARY },
        { "__gnu_cxx::*", "libstdc++", ANY, PG_FRAME_LIBRARY },
        { "__cxxabiv1::*", "libstdc++", ANY, PG_FRAME_LIBRARY },
        { "__cxa_*", "C++ ABI", ANY, PG_FRAME_LIBRARY },
        { "_start", "C", ANY, PG_FRAME_LIBRARY },
        { "__libc_csu_init", "C", ANY, PG_FRAME_LIBRARY },
        { "__rust_*", "Rust", ANY, PG_FRAME_WRAPPER },
        { "__rustc::*", "Rust", ANY, PG_FRAME_WRAPPER },
        { "__rdl_*", "Rust", ANY, PG_FRAME_WRAPPER },
        { "__rg_*", "Rust", ANY, PG_FRAME_WRAPPER },
        { "alloc::*", "Rust", RUST, PG_FRAME_LIBRARY },
        { "core::*", "Rust", RUST, PG_FRAME_LIBRARY },
        { "hashbrown::*", "Rust", RUST, PG_FRAME_LIBRARY },
        { "<alloc::*", "Rust", RUST, PG_FRAME_LIBRARY },
        { "<core::*", "Rust", RUST, PG_FRAME_LIBRARY },
        { "<std::*", "Rust", RUST, PG_FRAME_LIBRARY },
        { "<hashbrown::*", "Rust", RUST, PG_FRAME_LIBRARY },
        { "<&alloc::*", "Rust", RUST, PG_FRAME_LIBRARY },
        { "<&core::*", "Rust", RUST, PG_FRAME_LIBRARY },
        { "<&std::*", "Rust", RUST, PG_FRAME_LIBRARY },

        { "\\[other\\]", "perfgate", ANY, PG_FRAME_PSEUDO },
        { "\\[truncated\\]", "perfgate", ANY, PG_FRAME_PSEUDO },
        { "\\[unknown\\]", "perfgate", ANY, PG_FRAME_PSEUDO },
        { "\\[inherited\\]", "perfgate", ANY, PG_FRAME_PSEUDO },
};

/* Files that hold nothing but a standard library: all of their functions have rank PG_FRAME_LIBRARY. */
static const char *const libraries[] = {
        "libc.so*",      "ld-linux*.so*", "libm.so*",     "libpthread.so*",   "libdl.so*",
        "librt.so*",     "libresolv.so*", "libnss_*.so*", "libanl.so*",       "libmvec.so*",
        "libc.musl-*",   "ld-musl-*",     "libgcc_s.so*", "libstdc++.so*",    "libc++.so*",
        "libc++abi.so*", "libstd-*.so",   "libgomp.so*",  "libperfgate-*.so",
};

enum {
        N_FUNCTIONS = sizeof(functions) / sizeof(*functions),
        N_LIBRARIES = sizeof(libraries) / sizeof(*libraries)
};

/* fnmatch, but most globs are told from most names by their first character. */
static bool matches(const char *glob, const char *name)
{
        bool any_start = *glob == '*' || *glob == '?' || *glob == '[' || *glob == '\\';
        if (*glob != *name && !any_start)
                return false;
        return fnmatch(glob, name, 0) == 0;
}

/* "_RNv..." and "_ZN...17h0123456789abcdefE", maybe with a clone's suffix behind it. */
static bool is_rust(const char *system_name)
{
        enum { HASH = 16 };
        if (strncmp(system_name, "_R", 2) == 0)
                return true;
        const char *hash = strncmp(system_name, "_ZN", 3) == 0 ? strstr(system_name, "17h") : NULL;
        for (; hash; hash = strstr(hash + 1, "17h"))
                if (strspn(hash + 3, "0123456789abcdef") == HASH && hash[3 + HASH] == 'E')
                        return true;
        return false;
}

/*
 * "<str>::to_uppercase", "<[T]>::to_vec", "<u8 as alloc::slice::...>": methods of Rust's own types, and of its
 * traits where they are written for every type. A type of somebody's crate has a path, and its methods are
 * somebody's, but for those of traits of the crate alloc.
 */
static bool is_rust_builtin(const char *identity)
{
        static const struct {
                const char *start;
                bool of_every_type;
        } traits[] = {
                { " as core::", false }, { " as std::", false }, { " as alloc::", true }, { " as <", true }
        };
        bool slice = identity[1] == '[';
        const char *type = identity + 1 + strspn(identity + 1, "&*[(");
        bool path = type[strcspn(type, ":<> ;")] == ':';
        const char *as = strstr(identity, " as ");
        if (!as)
                return slice || !path;
        for (size_t i = 0; i < sizeof(traits) / sizeof(*traits); i++)
                if (strncmp(as, traits[i].start, strlen(traits[i].start)) == 0)
                        return slice || !path || traits[i].of_every_type;
        return false;
}

static bool is_library(const char *module)
{
        for (int i = 0; i < N_LIBRARIES; i++)
                if (matches(libraries[i], module))
                        return true;
        return false;
}

enum pg_frame_rank pg_frame_rank(const struct pg_frame *f, const char *module, const char *const *added)
{
        for (const char *const *glob = added; glob && *glob; glob++)
                if (matches(*glob, f->identity))
                        return PG_FRAME_WRAPPER;
        for (int i = 0; i < N_FUNCTIONS; i++)
                if (matches(functions[i].glob, f->identity) &&
                    (functions[i].language == ANY || is_rust(f->system_name)))
                        return functions[i].rank;
        if (f->identity[0] == '<' && is_rust(f->system_name) && is_rust_builtin(f->identity))
                return PG_FRAME_LIBRARY;
        return is_library(module) ? PG_FRAME_LIBRARY : PG_FRAME_OWN;
}

/* FNV-1a, 64 bits, by Fowler, Noll and Vo, the final zero included. */
static uint64_t hash(uint64_t h, const char *s)
{
        do
                h = (h ^ (unsigned char)*s) * 0x100000001b3ull;
        while (*s++);
        return h;
}

uint64_t pg_wrappers_fingerprint(const char *const *added)
{
        static const uint64_t start = 0xcbf29ce484222325ull;
        uint64_t h = start, sum = 0;
        for (int i = 0; i < N_FUNCTIONS; i++)
                h = hash(h ^ (uint64_t)functions[i].rank, functions[i].glob);
        for (int i = 0; i < N_LIBRARIES; i++)
                h = hash(h, libraries[i]);
        for (const char *const *glob = added; glob && *glob; glob++)
                sum += hash(start, *glob);
        return h + sum;
}

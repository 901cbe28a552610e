// SPDX-License-Identifier: MIT
/*
 * test_address_space.c - this very process looked at from outside, mappings made up, and ELF images written by hand.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <elf.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "runner/base/cleanup.h"
#include "runner/engine/address_space.h"
#include "runner/engine/code_file.h"

static struct pg_code_files *files;
static struct pg_address_space *own; // of this process

static int look_at_ourselves(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        files = pg_code_files_create();
        own = pg_address_space_create(files);
        return pg_address_space_read_maps(&own, getpid(), &err) ? 0 : -1;
}

static int look_away(void **state)
{
        (void)state;
        pg_address_space_release(own);
        pg_code_files_destroy(files);
        return 0;
}

static uint64_t address_of(void (*function)(void))
{
        return (uint64_t)(uintptr_t)function;
}

static void plain(void)
{
}

/* The loader's own word for what an address in this program is in its file. */
static int main_bias(struct dl_phdr_info *info, size_t n, void *ret)
{
        (void)n;
        *(uint64_t *)ret = info->dlpi_addr;
        return 1; // the program comes first
}

static void an_address_is_found_in_its_file(void **state)
{
        (void)state;
        uint64_t bias, in_file;
        dl_iterate_phdr(main_bias, &bias);
        uint32_t number = pg_address_space_locate(own, address_of(plain), &in_file);
        assert_int_not_equal(number, PG_MODULE_NONE);
        assert_int_equal(in_file, address_of(plain) - bias);
        const struct pg_code_module *m = pg_address_space_module(own, number);
        char exe[512] = "";
        assert_true(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
        assert_string_equal(m->path, exe);
        assert_true(m->is_main);
        assert_in_range(address_of(plain), m->start, m->end - 1);
        assert_true(pg_address_space_is_code(own, address_of(plain)));
        assert_false(pg_address_space_is_code(own, (uint64_t)(uintptr_t)&bias));
        assert_int_equal(pg_address_space_locate(own, 0x123, &in_file), PG_MODULE_NONE);
        assert_int_equal(in_file, 0x123);
}

static bool is_usable(pg_rule rule)
{
        return pg_rule_cfa(rule) != PG_CFA_STOP && pg_rule_cfa(rule) != PG_CFA_CHAIN &&
               pg_rule_cfa(rule) != PG_CFA_NONE;
}

static void library_and_vdso_have_rules(void **state)
{
        (void)state;
        uint64_t in_file;
        const uint64_t in_libc = (uint64_t)(uintptr_t)gnu_get_libc_version; // no sanitizer has its own
        uint32_t number = pg_address_space_locate(own, in_libc, &in_file);
        assert_non_null(strstr(pg_address_space_module(own, number)->path, "libc"));
        assert_true(is_usable(pg_address_space_rule(own, in_libc)));
        assert_int_equal(pg_rule_owner(pg_address_space_rule(own, in_libc)), number);

        const uint64_t vdso = getauxval(AT_SYSINFO_EHDR);
        assert_true(vdso != 0);
        number = pg_address_space_locate(own, vdso, &in_file);
        assert_string_equal(pg_address_space_module(own, number)->path, "[vdso]");
        assert_int_equal(in_file, 0);
        size_t rules = 0;
        for (uint64_t at = vdso; at < vdso + 4096; at++)
                rules += is_usable(pg_address_space_rule(own, at));
        assert_true(rules > 500); // a page with code of clock_gettime and others
}

/* ---- walking --------------------------------------------------------------------------------------------- */

static uint64_t stack_end(void)
{
        PG_AUTO_FCLOSE FILE *f = fopen("/proc/self/maps", "re");
        char line[512];
        unsigned long start, end = 0;
        while (f && fgets(line, sizeof(line), f))
                if (strstr(line, "[stack]") && sscanf(line, "%lx-%lx", &start, &end) == 2)
                        return end;
        return 0;
}

static uint32_t n_walked;
static struct pg_walked walked[64];
static enum pg_stop walk_end;

__attribute__((noinline)) static void walk_from_here(uint64_t readable_bytes)
{
        ucontext_t here;
        getcontext(&here);
        const uint64_t *all = (const uint64_t *)here.uc_mcontext.gregs;
        struct pg_regs r = {
                .pc = all[PG_GREG_PC], .sp = all[PG_GREG_SP], .bp = all[PG_GREG_BP], .all = all, .exact = true
        };
        struct pg_stack s = { .lo = r.sp, .hi = readable_bytes ? r.sp + readable_bytes : stack_end() };
        n_walked = pg_address_space_walk(own, &r, &s, walked, 64, &walk_end);
        __asm__ volatile("" ::: "memory"); // no tail call
}

__attribute__((noinline)) static void one_more_frame(uint64_t readable_bytes)
{
        walk_from_here(readable_bytes);
        __asm__ volatile("" ::: "memory");
}

static bool is_inside(uint64_t address, const void *function, size_t bytes)
{
        return address - (uint64_t)(uintptr_t)function < bytes;
}

static void a_stack_is_walked_to_its_end(void **state)
{
        (void)state;
        one_more_frame(0);
        assert_int_equal(walk_end, PG_STOP_ROOT);
        assert_true(n_walked >= 6); // these two, this test, cmocka, main, libc
        assert_true(is_inside(walked[0].address, (void *)walk_from_here, 400));
        assert_true(is_inside(walked[1].address, (void *)one_more_frame, 400));
        assert_true(is_inside(walked[2].address, (void *)a_stack_is_walked_to_its_end, 400));
        for (uint32_t i = 0; i < n_walked; i++)
                assert_true(pg_address_space_is_code(own, walked[i].address));
}

static void a_short_copy_keeps_its_inner_frames(void **state)
{
        (void)state;
        one_more_frame(8);
        assert_int_equal(walk_end, PG_STOP_MEMORY);
        assert_int_equal(n_walked, 1);
        assert_true(is_inside(walked[0].address, (void *)walk_from_here, 400));
}

/* ---- mappings made up ------------------------------------------------------------------------------------ */

static const char *fresh_copy(char path[64])
{
        strcpy(path, "/tmp/perfgate-mapped-XXXXXX");
        PG_AUTO_CLOSE int to = mkstemp(path), from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        char piece[65536];
        assert_true(to >= 0 && from >= 0);
        for (ssize_t n; (n = read(from, piece, sizeof(piece))) > 0;)
                assert_int_equal(write(to, piece, (size_t)n), n);
        return path;
}

static void map(struct pg_address_space **as, uint64_t start, uint64_t bytes, const char *path,
                uint64_t inode)
{
        struct pg_error err = { 0 };
        const struct pg_mapping m = { .start = start, .end = start + bytes, .path = path, .inode = inode };
        assert_true(pg_address_space_map(as, 0, &m, &err));
}

static void only_the_mapped_file_itself_is_read(void **state)
{
        (void)state;
        char path[64];
        struct stat st;
        struct pg_address_space *as = pg_address_space_create(files);
        assert_int_equal(stat(fresh_copy(path), &st), 0);
        map(&as, 0x100000, 0x1000, path, st.st_ino);
        map(&as, 0x200000, 0x1000, path, st.st_ino + 1); // what was mapped is another file
        unlink(path);
        map(&as, 0x300000, 0x1000, path, st.st_ino + 2);
        assert_string_equal(pg_address_space_module(as, 0)->path, path);
        const char *replaced = pg_address_space_module(as, 1)->path,
                   *deleted = pg_address_space_module(as, 2)->path;
        assert_string_equal(replaced + strlen(path), " (replaced)");
        assert_string_equal(deleted + strlen(path), " (deleted)");
        assert_int_equal(pg_rule_cfa(pg_address_space_rule(as, 0x200000)), PG_CFA_CHAIN);
        assert_int_equal(pg_rule_cfa(pg_address_space_rule(as, 0x300000)), PG_CFA_CHAIN);
        pg_address_space_release(as);
}

static void a_build_id_proves_a_file(void **state)
{
        (void)state;
        char path[64];
        struct pg_error err = { 0 };
        struct pg_code_file *code;
        PG_AUTO_CLOSE int fd = open(fresh_copy(path), O_RDONLY | O_CLOEXEC);
        assert_true(pg_code_file_read(fd, &code, &err));
        const uint8_t *id;
        uint8_t other[20];
        size_t n = pg_code_file_build_id(code, &id);
        assert_int_equal(n, 20);
        memcpy(other, id, n);
        other[7] ^= 1;
        struct pg_address_space *as = pg_address_space_create(files);
        struct pg_mapping m = {
                .start = 0x1000, .end = 0x2000, .path = path, .build_id = id, .build_id_bytes = n
        };
        assert_true(pg_address_space_map(&as, 0, &m, &err));
        m = (struct pg_mapping){
                .start = 0x5000, .end = 0x6000, .path = path, .build_id = other, .build_id_bytes = n
        };
        assert_true(pg_address_space_map(&as, 0, &m, &err));
        assert_string_equal(pg_address_space_module(as, 0)->path, path);
        assert_string_equal(pg_address_space_module(as, 1)->path + strlen(path), " (replaced)");
        unlink(path);
        pg_address_space_release(as);
        pg_code_file_destroy(code);
}

static void later_mappings_lie_over_earlier_ones(void **state)
{
        (void)state;
        struct pg_address_space *as = pg_address_space_create(files);
        uint64_t in_file;
        map(&as, 0x10000, 0x10000, "/one", 1);
        map(&as, 0x14000, 0x1000, "//anon", 0); // in its middle
        map(&as, 0x1f000, 0x2000, "/three", 3); // over its end
        static const struct {
                uint64_t address;
                uint32_t module;
        } want[] = { { 0x10000, 0 },
                     { 0x13fff, 0 },
                     { 0x14000, PG_MODULE_NONE },
                     { 0x14fff, PG_MODULE_NONE },
                     { 0x15000, 0 },
                     { 0x1efff, 0 },
                     { 0x1f000, 1 },
                     { 0x20fff, 1 } };
        for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
                assert_true(pg_address_space_is_code(as, want[i].address));
                assert_int_equal(pg_address_space_locate(as, want[i].address, &in_file), want[i].module);
        }
        assert_false(pg_address_space_is_code(as, 0xffff));
        assert_false(pg_address_space_is_code(as, 0x21000));
        map(&as, 0x0, 0x100000, "/all", 4);
        assert_int_equal(pg_address_space_locate(as, 0x14000, &in_file), 2);
        assert_int_equal(in_file, 0x14000);
        pg_address_space_release(as);
}

static void a_child_has_its_own_from_its_first_mapping_on(void **state)
{
        (void)state;
        uint64_t in_file;
        struct pg_address_space *parent = pg_address_space_create(files);
        map(&parent, 0x10000, 0x1000, "/one", 1);
        struct pg_address_space *child = pg_address_space_share(parent);
        assert_ptr_equal(child, parent);
        map(&child, 0x20000, 0x1000, "/two", 2);
        assert_ptr_not_equal(child, parent);
        assert_int_equal(pg_address_space_n_modules(parent), 1);
        assert_int_equal(pg_address_space_locate(child, 0x10000, &in_file), 0);
        assert_int_equal(pg_address_space_locate(child, 0x20000, &in_file), 1);
        assert_false(pg_address_space_is_code(parent, 0x20000));
        map(&parent, 0x30000, 0x1000, "/three", 3);
        assert_false(pg_address_space_is_code(child, 0x30000));
        pg_address_space_release(parent);
        assert_string_equal(pg_address_space_module(child, 0)->path, "/one (deleted)");
        pg_address_space_release(child);
}

/* ---- images by hand -------------------------------------------------------------------------------------- */

/* Executable segments as some linkers lay them out: file offsets and addresses differ, and differently. */
static void bias_is_by_segment(void **state)
{
        (void)state;
        struct {
                Elf64_Ehdr h;
                Elf64_Phdr p[3];
        } image = { .h = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
                           .e_type = ET_DYN,
                           .e_machine = EM_X86_64,
                           .e_version = EV_CURRENT,
                           .e_ehsize = sizeof(Elf64_Ehdr),
                           .e_phoff = sizeof(Elf64_Ehdr),
                           .e_phentsize = sizeof(Elf64_Phdr),
                           .e_phnum = 3 },
                    .p = { { .p_type = PT_LOAD,
                             .p_flags = PF_R,
                             .p_offset = 0,
                             .p_vaddr = 0,
                             .p_filesz = 0x1500 },
                           { .p_type = PT_LOAD,
                             .p_flags = PF_R | PF_X,
                             .p_offset = 0x1500,
                             .p_vaddr = 0x2500,
                             .p_filesz = 0x2000 },
                           { .p_type = PT_LOAD,
                             .p_flags = PF_R | PF_X,
                             .p_offset = 0x3500,
                             .p_vaddr = 0x6500,
                             .p_filesz = 0x1000 } } };
        struct pg_error err = { 0 };
        struct pg_code_file *f;
        uint64_t bias;
        assert_true(pg_code_file_read_memory(&image, sizeof(image), &f, &err));
        // loaded at 0x70000: file page 0x1000 is mapped at 0x72000, file page 0x3000 at 0x76000
        assert_true(pg_code_file_bias(f, 0x72000, 0x1000, &bias));
        assert_int_equal(bias, 0x70000);
        assert_true(pg_code_file_bias(f, 0x76000, 0x3000, &bias)); // which the first one covers too
        assert_int_equal(bias, 0x70000);
        assert_true(pg_code_file_bias(f, 0x77000, 0x4000, &bias)); // 0x4000 - 0x3500 + 0x6500 = 0x7000
        assert_int_equal(bias, 0x70000);
        assert_false(pg_code_file_bias(f, 0x72000, 0x9000, &bias));
        assert_int_equal(pg_rule_cfa(pg_code_file_rule(f, 0x2500)), PG_CFA_CHAIN);
        pg_code_file_destroy(f);
}

static void what_is_no_elf_file_of_ours_has_no_code(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        struct pg_code_file *f;
        Elf64_Ehdr other = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
                             .e_machine = EM_S390,
                             .e_version = EV_CURRENT };
        assert_true(pg_code_file_read_memory("no program", 10, &f, &err));
        assert_null(f);
        assert_true(pg_code_file_read_memory(&other, sizeof(other), &f, &err));
        assert_null(f);
        PG_AUTO_CLOSE int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_true(pg_code_file_read(fd, &f, &err));
        assert_null(f);
}

static void a_process_that_is_gone_is_an_error(void **state)
{
        (void)state;
        struct pg_error err = { 0 };
        struct pg_address_space *as = pg_address_space_create(files);
        assert_false(pg_address_space_read_maps(&as, 0x7ffffff0, &err)); // above any pid
        assert_int_equal(err.code, PG_EOS);
        pg_address_space_release(as);
        pg_address_space_release(NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_address_is_found_in_its_file),
                cmocka_unit_test(library_and_vdso_have_rules),
                cmocka_unit_test(a_stack_is_walked_to_its_end),
                cmocka_unit_test(a_short_copy_keeps_its_inner_frames),
                cmocka_unit_test(only_the_mapped_file_itself_is_read),
                cmocka_unit_test(a_build_id_proves_a_file),
                cmocka_unit_test(later_mappings_lie_over_earlier_ones),
                cmocka_unit_test(a_child_has_its_own_from_its_first_mapping_on),
                cmocka_unit_test(bias_is_by_segment),
                cmocka_unit_test(what_is_no_elf_file_of_ours_has_no_code),
                cmocka_unit_test(a_process_that_is_gone_is_an_error),
        };
        return cmocka_run_group_tests(tests, look_at_ourselves, look_away);
}

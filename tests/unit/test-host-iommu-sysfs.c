/*
 * The reader of what sysfs tells of a host's IOMMU, on folders made here
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "system/host_iommu_sysfs.h"
#include <glib/gstdio.h>

#define CAP     0xd2008c40660462ULL
#define ECAP    0xf050daULL
#define NOBODY  65534

typedef struct Unit {
    char *folder;               /* as sysfs' .../virtual/iommu/dmar0 */
    char *cap;
    char *ecap;
} Unit;

static void unit_set_up(Unit *unit, gconstpointer data)
{
    g_autofree char *registers = NULL;

    unit->folder = g_dir_make_tmp("host-iommu-XXXXXX", NULL);
    g_assert_nonnull(unit->folder);
    registers = g_build_filename(unit->folder, "intel-iommu", NULL);
    g_assert_cmpint(g_mkdir(registers, 0700), ==, 0);
    unit->cap = g_build_filename(registers, "cap", NULL);
    unit->ecap = g_build_filename(registers, "ecap", NULL);
    g_assert_true(g_file_set_contents(unit->cap, "d2008c40660462\n", -1,
                                      NULL));
    g_assert_true(g_file_set_contents(unit->ecap, "f050da\n", -1, NULL));
}

static void unit_tear_down(Unit *unit, gconstpointer data)
{
    g_autofree char *registers = g_path_get_dirname(unit->cap);

    remove(unit->cap);
    remove(unit->ecap);
    remove(registers);
    g_assert_cmpint(remove(unit->folder), ==, 0);
    g_free(unit->folder);
    g_free(unit->cap);
    g_free(unit->ecap);
}

static void assert_unknown(Unit *unit)
{
    HostIOMMUDeviceCaps caps = {};

    g_assert_false(host_iommu_sysfs_read(unit->folder, &caps));
    g_assert_cmpint(caps.type, ==, HOST_IOMMU_TYPE_UNKNOWN);
    g_assert_cmpint(caps.source, ==, HOST_IOMMU_SOURCE_NONE);
    g_assert_cmphex(caps.vtd.cap, ==, 0);
    g_assert_cmphex(caps.vtd.ecap, ==, 0);
}

static void test_vtd(Unit *unit, gconstpointer data)
{
    HostIOMMUDeviceCaps caps = {};

    g_assert_true(host_iommu_sysfs_read(unit->folder, &caps));
    g_assert_cmpint(caps.type, ==, HOST_IOMMU_TYPE_INTEL_VTD);
    g_assert_cmpint(caps.source, ==, HOST_IOMMU_SOURCE_SYSFS);
    g_assert_cmphex(caps.vtd.cap, ==, CAP);
    g_assert_cmphex(caps.vtd.ecap, ==, ECAP);
}

static void test_amd(Unit *unit, gconstpointer data)
{
    g_autofree char *amd = g_build_filename(unit->folder, "amd-iommu", NULL);
    HostIOMMUDeviceCaps caps = {};

    g_assert_cmpint(g_mkdir(amd, 0700), ==, 0);
    g_assert_true(host_iommu_sysfs_read(unit->folder, &caps));
    g_assert_cmpint(caps.type, ==, HOST_IOMMU_TYPE_AMD_VI);
    g_assert_cmpint(caps.source, ==, HOST_IOMMU_SOURCE_SYSFS);
    g_assert_cmpint(remove(amd), ==, 0);
}

static void test_full_width(Unit *unit, gconstpointer data)
{
    HostIOMMUDeviceCaps caps = {};

    g_assert_true(g_file_set_contents(unit->cap, "FEDCBA9876543210", -1,
                                      NULL));
    g_assert_true(host_iommu_sysfs_read(unit->folder, &caps));
    g_assert_cmphex(caps.vtd.cap, ==, 0xfedcba9876543210ULL);
}

/* @data: what the file says instead of a register */
static void test_cap_says(Unit *unit, gconstpointer data)
{
    g_assert_true(g_file_set_contents(unit->cap, data, -1, NULL));
    assert_unknown(unit);
}

static void test_ecap_says(Unit *unit, gconstpointer data)
{
    g_assert_true(g_file_set_contents(unit->ecap, data, -1, NULL));
    assert_unknown(unit);
}

static void test_zero_byte(Unit *unit, gconstpointer data)
{
    g_assert_true(g_file_set_contents(unit->cap, "d2\0" "0", 4, NULL));
    assert_unknown(unit);
}

static void test_absent(Unit *unit, gconstpointer data)
{
    g_assert_cmpint(remove(unit->ecap), ==, 0);
    assert_unknown(unit);
}

static void test_no_folder(void)
{
    HostIOMMUDeviceCaps caps = {};

    g_assert_false(host_iommu_sysfs_read("/nonexistent/iommu", &caps));
    g_assert_cmpint(caps.type, ==, HOST_IOMMU_TYPE_UNKNOWN);
    g_assert_null(host_iommu_sysfs_unit("/nonexistent/iommu"));
}

static void test_directory(Unit *unit, gconstpointer data)
{
    g_assert_cmpint(remove(unit->cap), ==, 0);
    g_assert_cmpint(g_mkdir(unit->cap, 0700), ==, 0);
    assert_unknown(unit);
}

/* Root may read all, so it becomes somebody else for as long as it reads */
static void test_no_permission(Unit *unit, gconstpointer data)
{
    uid_t uid = geteuid();

    g_assert_cmpint(chmod(unit->cap, 0), ==, 0);
    if (uid == 0) {
        g_assert_cmpint(seteuid(NOBODY), ==, 0);
    }
    assert_unknown(unit);
    g_assert_cmpint(seteuid(uid), ==, 0);
}

static void test_fifo(Unit *unit, gconstpointer data)
{
    g_assert_cmpint(remove(unit->cap), ==, 0);
    g_assert_cmpint(mkfifo(unit->cap, 0600), ==, 0);
    assert_unknown(unit);
}

/* One that somebody has open to write, so that a reader would wait for it */
static void test_fifo_with_writer(Unit *unit, gconstpointer data)
{
    int fd;

    g_assert_cmpint(remove(unit->cap), ==, 0);
    g_assert_cmpint(mkfifo(unit->cap, 0600), ==, 0);
    fd = open(unit->cap, O_RDWR | O_CLOEXEC);
    g_assert_cmpint(fd, >=, 0);
    assert_unknown(unit);
    close(fd);
}

static void test_unit_name(Unit *unit, gconstpointer data)
{
    g_autofree char *link = g_build_filename(unit->folder, "iommu", NULL);
    g_autofree char *name = NULL;

    g_assert_cmpint(symlink("../../virtual/iommu/dmar2", link), ==, 0);
    name = host_iommu_sysfs_unit(link);
    g_assert_cmpstr(name, ==, "dmar2");
    g_assert_cmpint(remove(link), ==, 0);
    g_assert_null(host_iommu_sysfs_unit(unit->folder));
}

static void add(const char *path, gconstpointer data,
                void (*test)(Unit *, gconstpointer))
{
    g_autofree char *full = g_strdup_printf("/host-iommu-sysfs/%s", path);

    g_test_add(full, Unit, data, unit_set_up, test, unit_tear_down);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    add("vtd", NULL, test_vtd);
    add("amd", NULL, test_amd);
    add("full-width", NULL, test_full_width);
    add("cap/empty", "", test_cap_says);
    add("cap/newline-alone", "\n", test_cap_says);
    add("cap/not-hex", "d2008c4066046g\n", test_cap_says);
    add("cap/prefix", "0xd2008c40660462\n", test_cap_says);
    add("cap/sign", "-1\n", test_cap_says);
    add("cap/leading-space", " d2\n", test_cap_says);
    add("cap/17-digits", "00d2008c406604620\n", test_cap_says);
    add("cap/trailing-junk", "d2008c40660462 1\n", test_cap_says);
    add("cap/two-lines", "d2008c\n40\n", test_cap_says);
    add("cap/long", "d2008c40660462d2008c40660462d2008c40660462\n",
        test_cap_says);
    add("cap/zero-byte", NULL, test_zero_byte);
    add("cap/directory", NULL, test_directory);
    add("cap/no-permission", NULL, test_no_permission);
    add("cap/fifo", NULL, test_fifo);
    add("cap/fifo-with-writer", NULL, test_fifo_with_writer);
    add("ecap/empty", "", test_ecap_says);
    add("ecap/absent", NULL, test_absent);
    add("unit-name", NULL, test_unit_name);
    g_test_add_func("/host-iommu-sysfs/no-folder", test_no_folder);
    return g_test_run();
}

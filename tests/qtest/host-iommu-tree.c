/*
 * Folders that stand for the /sys of several kinds of host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include "host-iommu-tree.h"

static void make_folder(const char *path)
{
    g_assert_cmpint(g_mkdir_with_parents(path, 0700), ==, 0);
}

/* A link at @path, whose folder is made, to @target */
static void make_link(const char *path, const char *target)
{
    g_autofree char *folder = g_path_get_dirname(path);

    make_folder(folder);
    g_assert_cmpint(symlink(target, path), ==, 0);
}

char *host_tree_new(void)
{
    char *sysfs = g_dir_make_tmp("host-iommu-XXXXXX", NULL);

    g_assert_nonnull(sysfs);
    return sysfs;
}

static void remove_all(const char *path)
{
    GDir *dir = NULL;
    const char *name;

    if (!g_file_test(path, G_FILE_TEST_IS_SYMLINK)) {
        dir = g_dir_open(path, 0, NULL);
    }
    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *entry = g_build_filename(path, name, NULL);

        remove_all(entry);
    }
    if (dir) {
        g_dir_close(dir);
    }
    g_assert_cmpint(g_remove(path), ==, 0);
}

void host_tree_free(char *sysfs)
{
    remove_all(sysfs);
    g_free(sysfs);
}

/* As Linux has them: the unit is a virtual device, and its class links there */
char *host_tree_file(const char *sysfs, const char *unit, const char *name)
{
    return g_build_filename(sysfs, "devices/virtual/iommu", unit, name, NULL);
}

void host_tree_add_other(const char *sysfs, const char *name, const char *kind)
{
    g_autofree char *folder = host_tree_file(sysfs, name, kind);
    g_autofree char *link = g_build_filename(sysfs, "class/iommu", name, NULL);
    g_autofree char *target = g_build_filename("../../devices/virtual/iommu",
                                               name, NULL);

    make_folder(folder);
    make_link(link, target);
}

void host_tree_add_vtd(const char *sysfs, const char *name, const char *cap,
                       const char *ecap)
{
    g_autofree char *cap_path = host_tree_file(sysfs, name, "intel-iommu/cap");
    g_autofree char *ecap_path = host_tree_file(sysfs, name,
                                                "intel-iommu/ecap");
    g_autofree char *cap_text = g_strconcat(cap, "\n", NULL);
    g_autofree char *ecap_text = g_strconcat(ecap, "\n", NULL);

    host_tree_add_other(sysfs, name, "intel-iommu");
    g_assert_true(g_file_set_contents(cap_path, cap_text, -1, NULL));
    g_assert_true(g_file_set_contents(ecap_path, ecap_text, -1, NULL));
}

void host_tree_add_pci(const char *sysfs, const char *address,
                       const char *unit)
{
    g_autofree char *folder = g_build_filename(sysfs, "bus/pci/devices",
                                               address, NULL);
    g_autofree char *link = g_build_filename(folder, "iommu", NULL);
    g_autofree char *target = g_build_filename(
        "../../../../devices/virtual/iommu", unit ?: "", NULL);

    make_folder(folder);
    if (unit) {
        make_link(link, target);
    }
}

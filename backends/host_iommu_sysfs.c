/*
 * What sysfs reports of a host's IOMMU
 *
 * Linux only.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "system/host_iommu_sysfs.h"
#include "trace.h"

/* A register as sysfs shows it: "%llx\n" */
#define REGISTER_DIGITS 16

/*
 * Nothing but the file that the kernel makes will do: a FIFO would block, and
 * a number of another form is another number.
 * Returns: NULL, or what is wrong
 */
static const char *host_iommu_sysfs_parse(int fd, uint64_t *value)
{
    char text[REGISTER_DIGITS + 3];
    struct stat st;
    ssize_t n;

    if (fstat(fd, &st) < 0) {
        return strerror(errno);
    }
    if (!S_ISREG(st.st_mode)) {
        return "not a regular file";
    }
    n = RETRY_ON_EINTR(read(fd, text, sizeof(text) - 1));
    if (n < 0) {
        return strerror(errno);
    }
    if (n > 0 && text[n - 1] == '\n') {
        n--;
    }
    text[n] = '\0';
    if (n == 0) {
        return "empty";
    }
    if (n > REGISTER_DIGITS) {
        return "too long for a register";
    }
    if (strspn(text, "0123456789abcdefABCDEF") != n ||
        qemu_strtou64(text, NULL, 16, value)) {
        return "not a hexadecimal number";
    }
    return NULL;
}

static bool host_iommu_sysfs_register(const char *folder, const char *name,
                                      uint64_t *value)
{
    g_autofree char *path = g_build_filename(folder, "intel-iommu", name,
                                             NULL);
    int fd = RETRY_ON_EINTR(open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    const char *wrong;

    if (fd < 0) {
        trace_host_iommu_sysfs_unknown(path, strerror(errno));
        return false;
    }
    wrong = host_iommu_sysfs_parse(fd, value);
    close(fd);
    if (wrong) {
        trace_host_iommu_sysfs_unknown(path, wrong);
        return false;
    }
    return true;
}

bool host_iommu_sysfs_read(const char *folder, HostIOMMUDeviceCaps *caps)
{
    g_autofree char *amd = g_build_filename(folder, "amd-iommu", NULL);
    uint64_t cap, ecap;

    if (g_file_test(amd, G_FILE_TEST_IS_DIR)) {
        caps->type = HOST_IOMMU_TYPE_AMD_VI;
        caps->source = HOST_IOMMU_SOURCE_SYSFS;
        return true;
    }
    if (!host_iommu_sysfs_register(folder, "cap", &cap) ||
        !host_iommu_sysfs_register(folder, "ecap", &ecap)) {
        return false;
    }
    caps->type = HOST_IOMMU_TYPE_INTEL_VTD;
    caps->source = HOST_IOMMU_SOURCE_SYSFS;
    caps->vtd.cap = cap;
    caps->vtd.ecap = ecap;
    return true;
}

char *host_iommu_sysfs_unit(const char *folder)
{
    g_autofree char *unit = g_file_read_link(folder, NULL);

    return unit ? g_path_get_basename(unit) : NULL;
}

char *host_iommu_sysfs_unreadable(const char *path)
{
    int fd = RETRY_ON_EINTR(open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC));

    if (fd < 0) {
        return g_strdup_printf("%s: %s", path, strerror(errno));
    }
    close(fd);
    return NULL;
}

/*
 * vDPA devices without a kernel that has any
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <dlfcn.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <linux/vhost.h>
#include "qemu/bitops.h"
#include "qemu/bswap.h"
#include "qemu/units.h"
#include "standard-headers/linux/vhost_types.h"
#include "standard-headers/linux/virtio_config.h"
#include "standard-headers/linux/virtio_ids.h"
#include "standard-headers/linux/virtio_net.h"
#include "vdpa-kernel.h"

#define QUEUE_PAIRS     2
#define CONTROL_QUEUE   (2 * QUEUE_PAIRS)

/* Of Linux' character devices (its Documentation/admin-guide/devices.txt) */
static const struct Vdpa {
    unsigned int major, minor;
    uint64_t first;
    int bits;                       /* of the last IOVA */
    bool multiqueue, no_platform;
} vdpas[] = {
    { 1, 3, 0, 39 },
    { 1, 5, 0, 48 },
    { 1, 7, 0, 64 },
    { 1, 8, 1 * MiB, 39, .multiqueue = true },
    { 1, 9, 0, 39, .no_platform = true },
};

static const struct Vdpa *find(int fd)
{
    struct stat st;
    int i;

    if (fstat(fd, &st) || !S_ISCHR(st.st_mode)) {
        return NULL;
    }
    for (i = 0; i < ARRAY_SIZE(vdpas); i++) {
        if (st.st_rdev == makedev(vdpas[i].major, vdpas[i].minor)) {
            return &vdpas[i];
        }
    }
    return NULL;
}

static uint64_t features(const struct Vdpa *vdpa)
{
    uint64_t bits = 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_NET_F_MAC;

    if (!vdpa->no_platform) {
        bits |= 1ull << VIRTIO_F_ACCESS_PLATFORM;
    }
    if (vdpa->multiqueue) {
        bits |= 1ull << VIRTIO_NET_F_MQ | 1ull << VIRTIO_NET_F_CTRL_VQ;
    }
    return bits;
}

static void get_config(const struct Vdpa *vdpa,
                       struct vhost_vdpa_config *config)
{
    struct virtio_net_config all = {
        .mac = { 0x52, 0x54, 0, 0, 0, 1 },
        .max_virtqueue_pairs = cpu_to_le16(vdpa->multiqueue ? QUEUE_PAIRS : 1),
    };

    g_assert_cmpuint(config->off + config->len, <=, sizeof(all));
    memcpy(config->buf, (char *)&all + config->off, config->len);
}

static void answer(const struct Vdpa *vdpa, unsigned long request, void *arg)
{
    struct vhost_vdpa_iova_range *range = arg;
    struct vhost_vring_state *state = arg;

    switch (request) {
    case VHOST_GET_FEATURES:
        *(uint64_t *)arg = features(vdpa);
        break;
    case VHOST_GET_BACKEND_FEATURES:
        *(uint64_t *)arg = 1ull << VHOST_BACKEND_F_IOTLB_MSG_V2 |
                           1ull << VHOST_BACKEND_F_IOTLB_ASID;
        break;
    case VHOST_VDPA_GET_DEVICE_ID:
        *(uint32_t *)arg = VIRTIO_ID_NET;
        break;
    case VHOST_VDPA_GET_STATUS:
        *(uint8_t *)arg = VIRTIO_CONFIG_S_ACKNOWLEDGE |
                          VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK;
        break;
    case VHOST_VDPA_GET_CONFIG:
        get_config(vdpa, arg);
        break;
    case VHOST_VDPA_GET_CONFIG_SIZE:
        *(uint32_t *)arg = sizeof(struct virtio_net_config);
        break;
    case VHOST_VDPA_GET_VRING_NUM:
        *(uint16_t *)arg = 256;
        break;
    case VHOST_VDPA_GET_VQS_COUNT:
        *(uint32_t *)arg = vdpa->multiqueue ? CONTROL_QUEUE + 1 : 2;
        break;
    case VHOST_VDPA_GET_VRING_GROUP:
        state->num = state->index == CONTROL_QUEUE;
        break;
    case VHOST_VDPA_GET_IOVA_RANGE:
        range->first = vdpa->first;
        range->last = MAKE_64BIT_MASK(0, vdpa->bits);
        break;
    default:
        break;
    }
}

static void log_request(const struct Vdpa *vdpa, unsigned long request)
{
    const char *path = g_getenv(VDPA_KERNEL_LOG);
    FILE *log = path ? fopen(path, "a") : NULL;

    if (log) {
        fprintf(log, "%u:%u %lx\n", vdpa->major, vdpa->minor, request);
        fclose(log);
    }
}

int ioctl(int fd, unsigned long request, ...)
{
    const struct Vdpa *vdpa = NULL;
    va_list ap;
    void *arg;

    va_start(ap, request);
    arg = va_arg(ap, void *);
    va_end(ap);
    if (_IOC_TYPE(request) == VHOST_VIRTIO) {
        vdpa = find(fd);
    }
    if (!vdpa) {
        return syscall(SYS_ioctl, fd, request, arg);
    }
    log_request(vdpa, request);
    answer(vdpa, request, arg);
    return 0;
}

void vdpa_kernel_load(void)
{
    const char *options = g_getenv("ASAN_OPTIONS");
    g_autofree char *more = g_strdup_printf("%s:verify_asan_link_order=0",
                                            options ?: "");
    Dl_info info;

    g_assert_true(dladdr(vdpa_kernel_load, &info));
    g_setenv("LD_PRELOAD", info.dli_fname, true);
    g_setenv("ASAN_OPTIONS", more, true);
}

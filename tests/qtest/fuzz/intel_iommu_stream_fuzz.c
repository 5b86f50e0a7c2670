/*
 * A hostile stream for intel-iommu: its section, with headers that are right
 *
 * An input says what differs from what this vIOMMU would send itself, and which
 * fields the source adopted. The guest goes on with what was loaded. What
 * an incoming QEMU does once it has refused, ending, is left to qtests.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-host-iommu.h"
#include "qemu/bswap.h"
#include "qemu/units.h"
#include "hw/i386/intel_iommu.h"
#include "hw/i386/intel_iommu_host_caps.h"
#include "hw/misc/dma-testdev.h"
#include "io/channel-buffer.h"
#include "migration/qemu-file-types.h"
#include "migration/qemu-file.h"
#include "migration/vmstate.h"
#include "fuzz.h"
#include "viommu_fuzz.h"

#define REGISTERS       0xfed90000ULL
#define IQT             0x88

/* As vmstate_subsection_save() writes it */
#define SUBSECTION      0x05
#define HOST_CAPS       "iommu-intel/host-caps"

static const char *const devices[FUZZ_SLOTS] = {
    "dma-testdev,listen=on", FUZZ_HOST, "dma-testdev",
};

static IntelIOMMUState *viommu;
/* The section as it is at the start, without subsections */
static uint8_t *section;
static size_t section_size;

static const VMStateDescription *description(void)
{
    return DEVICE_GET_CLASS(viommu)->vmsd;
}

static void save(QTestState *s)
{
    g_autoptr(QIOChannelBuffer) buffer = qio_channel_buffer_new(0);
    VMStateDescription fields;
    QEMUFile *f = qemu_file_new_output(QIO_CHANNEL(buffer));

    viommu = INTEL_IOMMU_DEVICE(object_resolve_path_type("",
                                    TYPE_INTEL_IOMMU_DEVICE, NULL));
    fields = *description();
    fields.subsections = NULL;
    g_assert_cmpint(vmstate_save_state(f, &fields, viommu, NULL), ==, 0);
    qemu_fflush(f);
    section_size = buffer->usage;
    section = g_memdup2(buffer->data, section_size);
    qemu_fclose(f);
    fuzz_slots_reset();
}

/* Returns: was it taken? */
static bool load(const GByteArray *stream)
{
    g_autoptr(QIOChannelBuffer) buffer = qio_channel_buffer_new(stream->len);
    QEMUFile *f;
    int ret;

    memcpy(buffer->data, stream->data, stream->len);
    buffer->usage = stream->len;
    f = qemu_file_new_input(QIO_CHANNEL(buffer));
    ret = vmstate_load_state(f, description(), viommu,
                             description()->version_id);
    qemu_fclose(f);
    return ret == 0;
}

static void append(GByteArray *stream, const void *data, size_t size)
{
    g_byte_array_append(stream, data, size);
}

/* What differs: runs of bytes, each with its place */
static void append_section(GByteArray *stream, FuzzInput *in)
{
    unsigned int i, n = fuzz_take_u8(in) % 16;

    append(stream, section, section_size);
    while (n--) {
        uint16_t at = fuzz_take_u16(in) % section_size;
        unsigned int size = MIN(fuzz_take_u8(in) % 8 + 1, section_size - at);

        for (i = 0; i < size; i++) {
            stream->data[at + i] ^= fuzz_take_u8(in);
        }
    }
}

/* Text of @size bytes: a good one, or any */
static void append_text(GByteArray *stream, FuzzInput *in, bool any,
                        const char *good, size_t size)
{
    g_autofree char *text = g_malloc0(size);

    if (any) {
        fuzz_take(in, text, size);
    } else {
        g_strlcpy(text, good, size);
    }
    append(stream, text, size);
}

/* One field that the source adopted, see VTDCarried */
static void append_adopted(GByteArray *stream, FuzzInput *in)
{
    uint8_t which = fuzz_take_u8(in), any = fuzz_take_u8(in);
    VTDHostFieldState field = { };
    uint64_t value;

    vtd_host_field(viommu, NULL, which % VTD_HOST_FIELDS_MAX, &field);
    append_text(stream, in, any & 1, field.carried ?: "",
                sizeof_field(VTDCarried, name));
    value = cpu_to_be64(any & 8 ? fuzz_take_u64(in) : field.guest);
    append(stream, &value, sizeof(value));
    append_text(stream, in, any & 2, "dev", sizeof_field(VTDCarried, device));
    append_text(stream, in, any & 4, "dmar0", sizeof_field(VTDCarried, unit));
}

static void append_host_caps(GByteArray *stream, FuzzInput *in)
{
    static const uint8_t start[] = { SUBSECTION, sizeof(HOST_CAPS) - 1 };
    uint8_t i, n = fuzz_take_u8(in);
    uint32_t version = cpu_to_be32(1);

    append(stream, start, sizeof(start));
    append(stream, HOST_CAPS, sizeof(HOST_CAPS) - 1);
    append(stream, &version, sizeof(version));
    append(stream, &n, sizeof(n));
    for (i = 0; i < n && in->size; i++) {
        append_adopted(stream, in);
    }
}

/* The guest goes on: it touches registers, and its devices memory */
static void go_on(QTestState *s, FuzzInput *in)
{
    unsigned int i;

    qapi_free_ViommuInfoList(qmp_query_viommu(&error_abort));
    for (i = 0; i < FUZZ_SLOTS; i++) {
        fuzz_slot_write(i, DMA_TESTDEV_SRC, fuzz_take_u64(in));
        fuzz_slot_write(i, DMA_TESTDEV_START, DMA_TESTDEV_LOAD);
    }
    qtest_writeq(s, REGISTERS + IQT, fuzz_take_u16(in));
    qtest_writeq(s, REGISTERS + fuzz_take_u8(in) * 4, fuzz_take_u64(in));
}

static void fuzz_stream(QTestState *s, const unsigned char *data, size_t size)
{
    FuzzInput in = { data, size };
    g_autoptr(GByteArray) stream = g_byte_array_new();
    g_autoptr(GByteArray) pristine = g_byte_array_new();

    append_section(stream, &in);
    if (fuzz_take_u8(&in) & 1) {
        append_host_caps(stream, &in);
    }
    if (load(stream)) {
        go_on(s, &in);
    }
    fuzz_slots_restore();
    /* what was taken over is so again */
    append(pristine, section, section_size);
    g_assert(load(pristine));
}

static GString *cmdline(FuzzTarget *target)
{
    return fuzz_slots_cmdline("intel-iommu,x-scalable-mode=on", devices);
}

static void register_target(void)
{
    fuzz_add_target(&(FuzzTarget) {
        .name = "intel-iommu-stream",
        .description = "What intel-iommu's section of a stream says",
        .get_init_cmdline = cmdline,
        .pre_fuzz = save,
        .fuzz = fuzz_stream,
    });
}

fuzz_target_init(register_target);

/*
 * What a guest can learn of its intel-iommu
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqos/fw_cfg.h"
#include "libqos/libqos.h"
#include "libqos/malloc-pc.h"
#include "intel-iommu-view.h"

#define ACPI_TABLES_MAX     (1 * MiB)
#define DMAR_WIDTH_OFFSET   36

static void read_dmar(QTestState *qts, GuestView *view)
{
    g_autofree uint8_t *tables = g_malloc0(ACPI_TABLES_MAX);
    QFWCFG *fw_cfg = pc_fw_cfg_init(qts);
    QOSState qs = { .qts = qts };
    size_t size, at;

    pc_alloc_init(&qs.alloc, qts, ALLOC_NO_FLAGS);
    size = qfw_cfg_read_file(fw_cfg, &qs, "etc/acpi/tables", tables,
                             ACPI_TABLES_MAX);
    alloc_destroy(&qs.alloc);
    pc_fw_cfg_uninit(fw_cfg);
    g_assert_cmpuint(size, <, ACPI_TABLES_MAX);
    for (at = 0; at + DMAR_WIDTH_OFFSET < size; at++) {
        if (!memcmp(tables + at, "DMAR", 4)) {
            view->dmar_size = ldl_le_p(tables + at + 4);
            g_assert_cmpuint(view->dmar_size, <=, sizeof(view->dmar));
            memcpy(view->dmar, tables + at, view->dmar_size);
            return;
        }
    }
    g_assert_not_reached();
}

GuestView read_guest_view(QTestState *qts)
{
    GuestView view = { };

    qtest_memread(qts, Q35_HOST_BRIDGE_IOMMU_ADDR, view.registers,
                  sizeof(view.registers));
    view.cap = ldq_le_p(view.registers + DMAR_CAP_REG);
    view.ecap = ldq_le_p(view.registers + DMAR_ECAP_REG);
    read_dmar(qts, &view);
    return view;
}

static GuestView read_and_quit(QTestState *qts)
{
    GuestView view = read_guest_view(qts);

    qtest_quit(qts);
    return view;
}

GuestView start_and_read_guest_view(const char *cmdline)
{
    return read_and_quit(qtest_init(cmdline));
}

GuestView start_base_and_read_guest_view(const char *cmdline)
{
    return read_and_quit(qtest_init_with_env("QTEST_BASE_BINARY", cmdline,
                                             true));
}

bool have_base(void)
{
    if (getenv("QTEST_BASE_BINARY")) {
        return true;
    }
    g_test_skip("QTEST_BASE_BINARY names no QEMU to compare with");
    return false;
}

void assert_same_view(const GuestView *a, const GuestView *b)
{
    g_assert_cmphex(a->cap, ==, b->cap);
    g_assert_cmphex(a->ecap, ==, b->ecap);
    g_assert_cmpmem(a->registers, sizeof(a->registers),
                    b->registers, sizeof(b->registers));
    g_assert_cmpmem(a->dmar, a->dmar_size, b->dmar, b->dmar_size);
}

void assert_width(const GuestView *view, unsigned int width)
{
    uint64_t sagaw = VTD_CAP_SAGAW_39bit;

    if (width > VTD_HOST_AW_39BIT) {
        sagaw |= VTD_CAP_SAGAW_48bit;
    }
    g_assert_cmpuint(VTD_MGAW_FROM_CAP(view->cap) + 1, ==, width);
    g_assert_cmphex(view->cap & VTD_CAP_SAGAW_MASK, ==, sagaw);
    g_assert_cmpuint(view->dmar[DMAR_WIDTH_OFFSET] + 1, ==, width);
}

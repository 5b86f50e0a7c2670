/*
 * DMA through a VT-d, and what it should come to
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "vtd-dma.h"

VtdGuest *start_scalable(const char *options)
{
    VtdGuest *guest = vtd_start(options);

    vtd_set_up_scalable(guest);
    vtd_enable(guest);
    return guest;
}

VtdGuest *start_nested(void)
{
    return start_scalable(NESTED);
}

/* What DMA comes to */

uint64_t fresh_value(void)
{
    static uint64_t value = 0x0123456789abcdef;

    return value += 0x1111111111111111;
}

void assert_no_fault(VtdGuest *guest)
{
    VtdFault fault = vtd_take_fault(guest);

    g_assert_cmphex(fault.recorded ? fault.reason : 0, ==, 0);
}

void assert_reads(VtdDevice *dev, uint64_t iova, uint64_t at)
{
    uint64_t value = fresh_value();
    unsigned int result;

    vtd_store(dev->guest, at, value);
    vtd_store(dev->guest, VTD_WINDOW, 0);
    result = vtd_copy(dev, iova, VTD_WINDOW, 8);
    assert_no_fault(dev->guest);
    g_assert_cmpuint(result, ==, DMA_TESTDEV_DONE);
    g_assert_cmphex(vtd_load(dev->guest, VTD_WINDOW), ==, value);
}

void assert_writes(VtdDevice *dev, uint64_t iova, uint64_t at)
{
    uint64_t value = fresh_value();
    unsigned int result;

    vtd_store(dev->guest, at, 0);
    vtd_store(dev->guest, VTD_WINDOW, value);
    result = vtd_copy(dev, VTD_WINDOW, iova, 8);
    assert_no_fault(dev->guest);
    g_assert_cmpuint(result, ==, DMA_TESTDEV_DONE);
    g_assert_cmphex(vtd_load(dev->guest, at), ==, value);
}

static void assert_fault_is(VtdDevice *dev, uint64_t iova, bool is_read,
                            unsigned int reason)
{
    VtdFault fault = vtd_take_fault(dev->guest);

    g_assert_cmphex(fault.recorded ? fault.reason : 0, ==, reason);
    g_assert_cmpuint(fault.is_read, ==, is_read);
    g_assert_cmphex(fault.sid, ==, dev->sid);
    g_assert_cmphex(fault.page, ==, iova & ~(VTD_PAGE - 1));
    /* the request had none, and RID_PASID is the context entry's */
    g_assert_false(fault.has_pasid);
}

void assert_read_faults(VtdDevice *dev, uint64_t iova, unsigned int reason)
{
    unsigned int result = vtd_copy(dev, iova, VTD_WINDOW, 8);

    assert_fault_is(dev, iova, true, reason);
    g_assert_cmpuint(result, ==, DMA_TESTDEV_READ_FAILED);
}

void assert_write_faults(VtdDevice *dev, uint64_t iova, unsigned int reason)
{
    unsigned int result = vtd_copy(dev, VTD_WINDOW, iova, 8);

    assert_fault_is(dev, iova, false, reason);
    g_assert_cmpuint(result, ==, DMA_TESTDEV_WRITE_FAILED);
}

void assert_both_fault(VtdDevice *dev, uint64_t iova, unsigned int reason)
{
    assert_read_faults(dev, iova, reason);
    assert_write_faults(dev, iova, reason);
}

void assert_reaches_nothing(VtdDevice *dev, uint64_t iova)
{
    unsigned int result = vtd_copy(dev, iova, VTD_WINDOW, 8);

    assert_no_fault(dev->guest);
    g_assert_cmpuint(result, ==, DMA_TESTDEV_READ_FAILED);
}

void assert_access(VtdDevice *dev, uint64_t iova, uint64_t at, bool is_read,
                   unsigned int reason)
{
    if (!reason) {
        (is_read ? assert_reads : assert_writes)(dev, iova, at);
    } else {
        (is_read ? assert_read_faults : assert_write_faults)(dev, iova,
                                                             reason);
    }
}

/* Tables */

void map_first(Mapping *m, VtdDevice *dev, uint16_t domain)
{
    m->dev = dev;
    m->iova = IOVA;
    m->at = FRAME(0);
    m->first = vtd_first_stage(dev->guest);
    vtd_map(&m->first, m->iova, m->at, 1);
    vtd_use_first(dev, &m->first, domain);
}

void map_second(Mapping *m, VtdDevice *dev, uint16_t domain,
                unsigned int levels)
{
    m->dev = dev;
    m->iova = NARROW_IOVA;
    m->at = FRAME(0);
    m->second = vtd_second_stage(dev->guest, levels);
    vtd_map(&m->second, m->iova, m->at, 1);
    vtd_use_second(dev, &m->second, domain);
}

void map_nested(Mapping *m, VtdDevice *dev, uint16_t domain,
                unsigned int levels)
{
    m->dev = dev;
    m->iova = IOVA;
    m->at = FRAME(0);
    m->second = vtd_second_stage(dev->guest, levels);
    m->first = vtd_nested_stage(&m->second);
    vtd_map(&m->first, m->iova, BETWEEN, 1);
    vtd_map(&m->second, BETWEEN, m->at, 1);
    vtd_use_nested(dev, &m->first, domain);
}

void map_first_leaf(Mapping *m, VtdDevice *dev, unsigned int leaf)
{
    map_first(m, dev, DOMAIN);
    m->iova += 512 * GiB;
    m->at = 1 * GiB;
    vtd_map(&m->first, m->iova, m->at, leaf);
}

void map_second_leaf(Mapping *m, VtdDevice *dev, unsigned int levels,
                     unsigned int leaf)
{
    map_second(m, dev, DOMAIN, levels);
    m->iova += levels == 3 ? 1 * GiB : 512 * GiB;
    m->at = 1 * GiB;
    vtd_map(&m->second, m->iova, m->at, leaf);
}

void map_nested_leaves(Mapping *m, VtdDevice *dev, unsigned int first_leaf,
                       unsigned int second_leaf)
{
    map_nested(m, dev, DOMAIN, 4);
    m->iova += 512 * GiB;
    m->at = 1 * GiB;
    vtd_map(&m->first, m->iova, FAR_BETWEEN, first_leaf);
    vtd_map(&m->second, FAR_BETWEEN, m->at, second_leaf);
}

uint64_t entry_of_table(Mapping *m, unsigned int level)
{
    uint64_t at = vtd_entry(&m->first, m->iova, level);

    return vtd_entry(&m->second, vtd_table_address(&m->first, at), 1);
}

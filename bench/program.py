# SPDX-License-Identifier: GPL-2.0-or-later
"""
What a guest that uses intel-iommu writes: tables, registers, descriptors.
"""

from counted import IOMMU, SLOT

PAGE = 0x1000
TABLES = 0x100000       # where the tables of the guest begin
DATA = 0x1000000        # where the pages do, in both stages

RTADDR, GCMD = 0x20, 0x18
SRTP, TE = 1 << 30, 1 << 31
SCALABLE_ROOT = 1 << 10

FIRST, SECOND, NESTED = 1, 2, 3         # PGTT
LEVELS = 4
FIRST_STAGE = 0x67      # P, R/W, U/S, A, D
SECOND_STAGE = 0x3      # R, W

QUEUE = 0x80000         # a page
IQT, IQA = 0x88, 0x90
WIDE = 1 << 11          # descriptors of 32 bytes
QIE = 1 << 26
IOTLB, PASID_IOTLB = 2, 6
DOMAIN = 1              # of the first device

ECAM = 0xb0000000
BAR = 0xe0000000
EDU_SRC, EDU_DST, EDU_COUNT, EDU_COMMAND = 0x80, 0x88, 0x90, 0x98
EDU_BUFFER = 0x40000
EDU = f'edu,addr={SLOT},dma_mask=0xffffffff'
EDU_RUN = 1
EDU_TIMER = 100000000   # ns

# Options of intel-iommu
SCALABLE = 'x-scalable-mode=on,'


class Program:
    """What runs in the guest of @qemu, a CountedQEMU."""

    def __init__(self, qemu):
        self._command = qemu.command
        self._free = TABLES
        self._tail = 0

    def _table(self):
        """A page of zeros."""
        self._free += PAGE
        return self._free - PAGE

    def _map(self, root, addr, rights):
        """Map the page at @addr to itself in the tables at @root."""
        table = root
        for level in range(LEVELS - 1, 0, -1):
            at = table + (addr >> (12 + 9 * level) & 511) * 8
            entry = int(self._command('readq', at)[0], 16)
            if not entry:
                entry = self._table() | rights
                self._command('writeq', at, entry)
            table = entry & ~0xfff
        self._command('writeq', table + (addr >> 12 & 511) * 8, addr | rights)

    def _tables(self, pages, rights):
        """The root of tables that map @pages to themselves."""
        root = self._table()
        for addr in pages:
            self._map(root, addr, rights)
        return root

    def _pasid_directory(self, pgtt, domain, first, second):
        """That of a device whose requests have no PASID."""
        directory, entry = self._table(), self._table()
        self._command('writeq', directory, entry | 1)
        self._command('writeq', entry,
                      second | pgtt << 6 | (LEVELS - 2) << 2 | 1)
        self._command('writeq', entry + 8, domain)
        self._command('writeq', entry + 16, first)
        return directory

    def translate_edu(self, pgtt, pages):
        """Translate what edu reads of @pages pages, by legacy mode where
        @pgtt is None; and put its BAR where it can be reached."""
        root, context = self._table(), self._table()
        devfn = SLOT << 3
        addrs = [DATA + i * PAGE for i in range(pages)]
        first = second = 0
        if pgtt in (FIRST, NESTED):
            first = self._tables(addrs, FIRST_STAGE)
            addrs += range(TABLES, self._free, PAGE)
        if pgtt != FIRST:
            second = self._tables(addrs, SECOND_STAGE)

        self._command('writeq', root, context | 1)
        if pgtt is None:
            self._command('writeq', context + devfn * 16, second | 1)
            self._command('writeq', context + devfn * 16 + 8, LEVELS - 2)
        else:
            self._command('writeq', context + devfn * 32, 1 |
                          self._pasid_directory(pgtt, DOMAIN, first, second))
        self._command('writeq', IOMMU + RTADDR,
                      root | (0 if pgtt is None else SCALABLE_ROOT))
        self._command('writel', IOMMU + GCMD, SRTP)
        self._command('writel', IOMMU + GCMD, TE)

        function = ECAM + (SLOT << 15)
        for where, value in ((0x60, ECAM | 1), (0x64, 0)):
            self._command('outl', 0xcf8, 1 << 31 | where)
            self._command('outl', 0xcfc, value)
        self._command('writel', function + 0x10, BAR)
        self._command('writew', function + 0x04, 0x6)

    def read_pages(self, numbers):
        """Have edu read 8 bytes of each of these pages."""
        self._command('writeq', BAR + EDU_DST, EDU_BUFFER)
        self._command('writeq', BAR + EDU_COUNT, 8)
        for number in numbers:
            self._command('writeq', BAR + EDU_SRC, DATA + number * PAGE)
            self._command('writeq', BAR + EDU_COMMAND, EDU_RUN)
            self._command('clock_step', EDU_TIMER)

    def translate_devices(self, pgtt, count):
        """Translate what devices from SLOT on do, in a domain each, and make
        the queue."""
        root = self._table()
        contexts = self._table(), self._table()
        rights = FIRST_STAGE if pgtt == FIRST else SECOND_STAGE
        for i in range(count):
            devfn = (SLOT << 3) + i
            tables = self._tables([DATA], rights)
            self._command(
                'writeq', contexts[devfn >> 7] + (devfn & 127) * 32, 1 |
                self._pasid_directory(pgtt, DOMAIN + i,
                                      tables if pgtt == FIRST else 0,
                                      tables if pgtt != FIRST else 0))
        for i in 0, 1:
            self._command('writeq', root + i * 8, contexts[i] | 1)
        self._command('writeq', IOMMU + RTADDR, root | SCALABLE_ROOT)
        self._command('writel', IOMMU + GCMD, SRTP)
        self._command('writeq', IOMMU + IQT, 0)
        self._command('writeq', IOMMU + IQA, QUEUE | WIDE)
        self._command('writel', IOMMU + GCMD, QIE)
        self._command('writel', IOMMU + GCMD, TE | QIE)

    def invalidate(self, words, count):
        """Have one descriptor of these words done, so often."""
        for _ in range(count):
            for word in (*words, 0, 0):
                self._command('writeq', QUEUE + self._tail, word)
                self._tail = (self._tail + 8) % PAGE
            self._command('writeq', IOMMU + IQT, self._tail)

# SPDX-License-Identifier: GPL-2.0-or-later
"""
Linux in a guest drives a host's NVMe device through two IOMMUs, behind an
intel-iommu that adopted its width.
"""

import hashlib
from pathlib import Path

from assignment import assigned
from buildtree import BuildTree
from device import nvme
from host import CONSOLE, Host
from vtd import Capabilities, host_address_width, read_capabilities


def test_read_nvme_through_two_iommus(tree: BuildTree,
                                      disk_content: Path) -> None:
    """What Linux reads is what is on the disk; CAP, DMAR and QEMU agree
    that the unit is as wide as the host's."""
    disk = nvme(disk_content, slot=3)
    with Host(tree, 'boot', {'aw-bits': 39}, [disk]) as host, \
            host.guest(assigned(disk, 'iommufd'), kernel=CONSOLE) as guest:
        unit = '/sys/class/iommu/dmar0/intel-iommu'
        words = guest.check(f'cat {unit}/cap {unit}/ecap').text.split()
        seen = Capabilities(*(int(word, 16) for word in words))
        assert seen.width == 39
        assert seen == read_capabilities(guest.monitor)
        dmar = guest.check('cat /sys/firmware/acpi/tables/DMAR').output
        assert host_address_width(dmar) == 39
        digest = guest.check('sha256sum </dev/nvme0n1').text.split()[0]
        assert digest == hashlib.sha256(
            disk_content.read_bytes()).hexdigest()

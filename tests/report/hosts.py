# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts of four kinds, as their sysfs shows their IOMMUs."""

from pathlib import Path
from typing import Dict, Optional, Tuple

# CAP and ECAP of each unit; an AMD one has none
Units = Dict[str, Optional[Tuple[str, str]]]

HOSTS: Dict[str, Units] = {
    # a desktop: the GPU has a unit of its own
    'client': {'dmar0': ('1c0000c40660462', '19e2ff0505e'),
               'dmar1': ('d2008c40660462', 'f050da')},
    'server': {f'dmar{number}': ('8d2078c106f0466', 'f020df')
               for number in (0, 1, 2, 10)},
    # 57 bits, and the first stage that newer kernels use
    'scalable': {'dmar0': ('19ed008c40780c66', '3ef9ea6f050df')},
    'amd': {'ivhd0': None},
}


def make_sysfs(sysfs: Path, units: Units) -> Path:
    """What a host with @units shows in @sysfs."""
    (sysfs / 'class/iommu').mkdir(parents=True)
    for name, registers in units.items():
        unit = sysfs / 'devices/virtual/iommu' / name
        kind = 'amd-iommu' if registers is None else 'intel-iommu'
        (unit / kind).mkdir(parents=True)
        for file, text in zip(('cap', 'ecap'),
                              registers or ('100', '26f77ef22294ada')):
            (unit / kind / file).write_text(f'{text}\n')
        (unit / 'devices/0000:00:02.0').mkdir(parents=True)
        (sysfs / 'class/iommu' / name).symlink_to(unit)
    return sysfs

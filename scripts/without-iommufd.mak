# SPDX-License-Identifier: GPL-2.0-or-later
# The devices of a QEMU without iommufd. meson.build puts it into the build
# directory, where this path is right.
include qemu/configs/devices/x86_64-softmmu/default.mak
CONFIG_IOMMUFD=n

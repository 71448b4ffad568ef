# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# The kernel's sample of a mediated device, samples/vfio-mdev/mtty.c, and mdev, which
# Debian's cloud kernel leaves out, as modules for that kernel.
# Sourced by arm64-debs.
#
# Kbuild's own programs are made for the newest Debian and do not run on an older one, so
# what they would do is done here: little, for two modules.

# compile_module NAME SOURCE...: NAME.ko in the current folder. $headers has the flavour's and the common ones.
compile_module()
{
	local name=$1 tools=aarch64-linux-gnu- flavour common source objects=() flags
	flavour=$(echo "$headers"/linux-headers-*-arm64) common=$(echo "$headers"/linux-headers-*-common)
	shift
	[ "$(machine)" != aarch64 ] || tools=
	# As in the kernel's Makefile and arch/arm64/Makefile; what does not change the ABI is left out.
	# shellcheck disable=SC2054 # commas are the compiler's
	flags=(-nostdinc -I"$common/arch/arm64/include" -I"$flavour/arch/arm64/include/generated"
		-I"$common/include" -I"$flavour/include" -I"$common/arch/arm64/include/uapi"
		-I"$flavour/arch/arm64/include/generated/uapi" -I"$common/include/uapi"
		-I"$flavour/include/generated/uapi" -include "$common/include/linux/compiler-version.h"
		-include "$common/include/linux/kconfig.h" -include "$common/include/linux/compiler_types.h"
		-D__KERNEL__ -DMODULE "-DKBUILD_MODNAME=\"$name\"" "-DKBUILD_BASENAME=\"$name\""
		"-DKBUILD_MODFILE=\"$name\"" "-D__KBUILD_MODNAME=kmod_$name"
		-DARM64_ASM_ARCH='"armv8.5-a"' -Wa,-march=armv8.5-a -DKASAN_SHADOW_SCALE_SHIFT=
		-w -std=gnu11 -O2 -fshort-wchar -funsigned-char -fno-common -fno-PIE -fno-strict-aliasing
		-fno-strict-overflow -fno-delete-null-pointer-checks -fno-stack-protector
		-fno-asynchronous-unwind-tables -fms-extensions -mgeneral-regs-only -mabi=lp64 -mlittle-endian)
	for source; do
		"${tools}gcc" "${flags[@]}" -c -o "$name-$(basename "$source").o" "$source"
		objects+=("$name-$(basename "$source").o")
	done
	"${tools}ld" -r -o "$name.parts.o" "${objects[@]}"
	module_end "$name" "$flavour/Module.symvers" "$("${tools}nm" -u "$name.parts.o" | awk '{ print $2 }')" \
		"$@" >"$name.mod.c"
	"${tools}gcc" "${flags[@]}" -c -o "$name.mod.o" "$name.mod.c"
	"${tools}ld" -r -z noexecstack -T "$flavour/arch/arm64/module.lds" -o "$name.ko" "$name.parts.o" "$name.mod.o"
}

# What modpost writes: the module's head, the checksums of the symbols that it needs, and those that it has for others.
module_end()
{
	local name=$1 known=$2 needs=$3
	shift 3
	cat <<-END
	#include <linux/module.h>
	#define INCLUDE_VERMAGIC
	#include <linux/export-internal.h>
	#include <linux/vermagic.h>
	MODULE_INFO(vermagic, VERMAGIC_STRING);
	MODULE_INFO(name, KBUILD_MODNAME);
	__visible struct module __this_module __section(".gnu.linkonce.this_module") = {
		.name = KBUILD_MODNAME, .init = init_module, .exit = cleanup_module, .arch = MODULE_ARCH_INIT,
	};
	#ifdef SYMBOL_FLAGS /* 7.x */
	#define EXPORT(name) KSYMTAB_FUNC(name, ""); SYMBOL_FLAGS(name, 0)
	#else
	#define EXPORT(name) KSYMTAB_FUNC(name, "", "")
	#endif
	END
	sed -n 's/^EXPORT_SYMBOL(\(.*\));/EXPORT(\1);/p' "$@"
	# In 7.x Debian's kernel wants none of these.
	! grep -q 'CONFIG_MODVERSIONS=y' "$(dirname "$known")/.config" || module_versions "$known" <<<"$needs"
}

# Of the symbols that it is told, and of struct module.
module_versions()
{
	echo 'static const struct modversion_info versions[] __used __section("__versions") = {'
	awk 'NR == FNR { crc[$2] = $1; next } $1 in crc { printf "{ %s, \"%s\" },\n", crc[$1], $1 }' "$1" - <(echo module_layout)
	echo '};'
}

# make_mtty OUT VERSION RELEASE: folder OUT with both modules, for the kernel of this release.
make_mtty()
{
	local out=$PWD/$1 source=linux-source-$2 flavour=linux-headers-$3 suite build headers
	suite=$(kernel_suite "$2")
	build=$(apt_private "$suite" apt-cache show "$flavour" 2>/dev/null | sed -n 's/^Version: //p' | head -n 1)
	[ -n "$build" ] || die "$suite has no $flavour any more: scripts/arm64-debs clean gets a kernel that has one"
	apt_fetch "$suite" "$flavour" "${flavour%%-cloud*}-common" "$source=$build"
	dpkg-deb --fsys-tarfile "$source"_*.deb | tar -xO "./usr/src/$source.tar.xz" | xz -dc -T0 |
		tar -x --strip-components=1 "$source/samples/vfio-mdev/mtty.c" "$source/drivers/vfio/mdev"
	rm "$source"_*.deb
	unpack tree
	headers=$PWD/tree/usr/src
	compile_module mdev drivers/vfio/mdev/mdev_{core,sysfs,driver}.c
	compile_module mtty samples/vfio-mdev/mtty.c
	mkdir -p "$out"
	cp mdev.ko mtty.ko "$out"
}

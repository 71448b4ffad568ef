# shellcheck shell=sh disable=SC2154
# SPDX-License-Identifier: MIT
# what: vGICv3 and ITS are saved, restored and reset, without a guest (tests/irqchip)
# hosts: all
# timeout: 100

irqchip()
{
	run "$programs/irqchip" "$1"
	[ "$status" = 0 ] || fail "$(tail -n 1 "$logs/run.out")"
}

case_before_the_guest_wrote_a_register() { irqchip before_the_guest_wrote_a_register; }
case_right_after_reset() { irqchip right_after_reset; }
case_reset_then_programmed_again() { irqchip reset_then_programmed_again; }
case_empty_flat_tables() { irqchip empty_flat_tables; }
case_empty_first_level() { irqchip empty_first_level; }
case_empty_second_level() { irqchip empty_second_level; }
case_queue_indices_without_a_queue() { irqchip queue_indices_without_a_queue; }
case_turned_on_without_a_table() { irqchip turned_on_without_a_table; }
case_device_table_made_invalid() { irqchip device_table_made_invalid; }
case_many_mappings_flat() { irqchip many_mappings_flat; }
case_many_mappings_indirect() { irqchip many_mappings_indirect; }
case_broken_device_table() { irqchip broken_device_table; }
case_overwritten_device_table() { irqchip overwritten_device_table; }
case_collection_table_outside_ram() { irqchip collection_table_outside_ram; }
case_broken_tables_in_a_snapshot() { irqchip broken_tables_in_a_snapshot; }
case_of_all_kinds() { irqchip of_all_kinds; }
case_more_than_list_registers() { irqchip more_than_list_registers; }
case_held_back() { irqchip held_back; }
case_in_handlers() { irqchip in_handlers; }
case_lines_after_the_restore() { irqchip lines_after_the_restore; }
case_moved_ten_times() { irqchip moved_ten_times; }
case_everything_is_as_at_power_on() { irqchip everything_is_as_at_power_on; }
case_everything_without_an_its() { irqchip everything_without_an_its; }
case_vcpu_runs_without_groups() { irqchip vcpu_runs_without_groups; }
case_vcpu_runs_with_group_1() { irqchip vcpu_runs_with_group_1; }
case_vcpu_runs_with_both_groups() { irqchip vcpu_runs_with_both_groups; }

# From 6.19 on KVM asks the GIC for something that QEMU's gets wrong: docs/host-kernels.md.
case_vcpu_runs_with_group_0()
{
	run "$programs/irqchip" vcpu_runs_with_group_0
	[ "$status" != 0 ] || return 0
	if [ "$emulated${host%%.*}" != 17 ] || ! grep -qx 'the vCPU executes no instruction' "$logs/run.out"; then
		fail "$(tail -n 1 "$logs/run.out")"
	fi
	known_fault "with group 0 alone QEMU's GIC stops the vCPU"
}

case_predict_flat() { irqchip predict_flat; }
case_predict_indirect() { irqchip predict_indirect; }
case_predict_full_table() { irqchip predict_full_table; }
case_predict_mutated_flat() { irqchip predict_mutated_flat; }
case_predict_mutated_indirect() { irqchip predict_mutated_indirect; }

case_all_are_listed_here()
{
	run "$programs/irqchip"
	check "there are no cases" test -s "$logs/run.out"
	while read -r name; do
		grep -q "^case_$name()" "$here/81-irqchip.sh" || fail "$name is not listed in 81-irqchip.sh"
	done <"$logs/run.out"
}

# shellcheck shell=sh disable=SC2154
# SPDX-License-Identifier: MIT
# what: vGICv3 and ITS are saved, restored and reset without a guest (tests/irqchip)
# hosts: all
# timeout: 100

irqchip()
{
	run "$programs/irqchip" "$1"
	[ "$status" = 0 ] || fail "$(tail -n 1 "$logs/run.out")"
}

case_its_moves_before_the_guest_wrote_a_register() { irqchip its_moves_before_the_guest_wrote_a_register; }
case_its_moves_right_after_reset() { irqchip its_moves_right_after_reset; }
case_its_works_when_programmed_again_after_reset() { irqchip its_works_when_programmed_again_after_reset; }
case_its_moves_with_empty_flat_tables() { irqchip its_moves_with_empty_flat_tables; }
case_its_moves_with_empty_first_level() { irqchip its_moves_with_empty_first_level; }
case_its_moves_with_empty_second_level() { irqchip its_moves_with_empty_second_level; }
case_its_moves_with_queue_indices_without_a_queue() { irqchip its_moves_with_queue_indices_without_a_queue; }
case_its_stays_disabled_when_a_table_is_missing() { irqchip its_stays_disabled_when_a_table_is_missing; }
case_its_drops_mappings_when_the_device_table_is_invalid() { irqchip its_drops_mappings_when_the_device_table_is_invalid; }
case_its_keeps_many_mappings_in_flat_tables() { irqchip its_keeps_many_mappings_in_flat_tables; }
case_its_keeps_many_mappings_in_two_levels() { irqchip its_keeps_many_mappings_in_two_levels; }
case_guest_continues_after_save_of_broken_device_table() { irqchip guest_continues_after_save_of_broken_device_table; }
case_save_refuses_overwritten_device_table() { irqchip save_refuses_overwritten_device_table; }
case_save_fails_when_collection_table_is_outside_ram() { irqchip save_fails_when_collection_table_is_outside_ram; }
case_restore_refuses_broken_tables() { irqchip restore_refuses_broken_tables; }
case_pending_interrupts_of_all_kinds_are_kept() { irqchip pending_interrupts_of_all_kinds_are_kept; }
case_pending_interrupts_are_kept_beyond_list_registers() { irqchip pending_interrupts_are_kept_beyond_list_registers; }
case_pending_interrupts_are_kept_while_masked() { irqchip pending_interrupts_are_kept_while_masked; }
case_active_interrupts_are_kept_in_handlers() { irqchip active_interrupts_are_kept_in_handlers; }
case_lines_follow_their_device_after_restore() { irqchip lines_follow_their_device_after_restore; }
case_pending_interrupts_are_kept_by_ten_moves() { irqchip pending_interrupts_are_kept_by_ten_moves; }
case_reset_restores_power_on_state() { irqchip reset_restores_power_on_state; }
case_reset_restores_power_on_state_without_its() { irqchip reset_restores_power_on_state_without_its; }
case_vcpu_runs_without_groups() { irqchip vcpu_runs_without_groups; }
case_vcpu_runs_with_group_1() { irqchip vcpu_runs_with_group_1; }
case_vcpu_runs_with_both_groups() { irqchip vcpu_runs_with_both_groups; }

# From 6.19 on, KVM uses a function of the GIC that QEMU's GIC implements incorrectly: docs/host-kernels.md.
case_vcpu_runs_with_group_0()
{
	run "$programs/irqchip" vcpu_runs_with_group_0
	[ "$status" != 0 ] || return 0
	if [ "$emulated${host%%.*}" != 17 ] || ! grep -qx 'the vCPU executes no instruction' "$logs/run.out"; then
		fail "$(tail -n 1 "$logs/run.out")"
	fi
	known_fault "with group 0 alone QEMU's GIC stops the vCPU"
}

case_prediction_matches_kvm_for_flat_tables() { irqchip prediction_matches_kvm_for_flat_tables; }
case_prediction_matches_kvm_for_two_levels() { irqchip prediction_matches_kvm_for_two_levels; }
case_prediction_matches_kvm_for_a_full_table() { irqchip prediction_matches_kvm_for_a_full_table; }
case_prediction_matches_kvm_for_mutated_flat_tables() { irqchip prediction_matches_kvm_for_mutated_flat_tables; }
case_prediction_matches_kvm_for_mutated_two_levels() { irqchip prediction_matches_kvm_for_mutated_two_levels; }

case_list_has_each_case_of_irqchip()
{
	run "$programs/irqchip"
	check "the program lists no cases" test -s "$logs/run.out"
	while read -r name; do
		grep -q "^case_$name()" "$here/81-irqchip.sh" || fail "81-irqchip.sh has no case $name"
	done <"$logs/run.out"
}

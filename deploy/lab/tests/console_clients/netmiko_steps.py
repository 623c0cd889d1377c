"""Has netmiko do steps on a device: PORT KEY LOG STEP... Each step's result is printed, below a line "==== STEP"."""
import sys
from netmiko import ConnectHandler

port, key, log, *steps = sys.argv[1:]
device = ConnectHandler(
    device_type="cisco_ios", host="127.0.0.1", port=int(port), username="root",
    use_keys=True, key_file=key, session_log=log,
)
actions = {
    "prompt": lambda _: device.find_prompt(),
    "enable": lambda _: device.enable(),
    "show": lambda command: device.send_command(command),
    # As a list, each of its lines is sent without waiting for the answer to the one before.
    "set": lambda lines: device.send_config_set(lines.split(";")),
    "open": lambda _: device.config_mode(),
    "is-open": lambda _: device.check_config_mode(),
    "close": lambda _: device.exit_config_mode(),
    "save": lambda _: device.save_config(),
}
for step in steps:
    action, _, argument = step.partition(" ")
    print(f"==== {step}\n{actions[action](argument)}", flush=True)
device.disconnect()

"""Has netmiko do steps on a device: PORT KEY LOG. Each line of the input is a step; its result follows a line with its length."""
import sys
from netmiko import ConnectHandler

port, key, log = sys.argv[1:]
device = ConnectHandler(
    device_type="cisco_ios", host="127.0.0.1", port=int(port), username="root",
    use_keys=True, key_file=key, session_log=log,
)
actions = {
    "prompt": lambda _: device.find_prompt(),
    "enable": lambda _: device.enable(),
    "disable": lambda _: device.exit_enable_mode(),
    "show": lambda command: device.send_command(command),
    # As a list, each of its lines is sent without waiting for the answer to the one before.
    "set": lambda lines: device.send_config_set(lines.split(";")),
    "open": lambda _: device.config_mode(),
    "is-open": lambda _: device.check_config_mode(),
    "close": lambda _: device.exit_config_mode(),
    "save": lambda _: device.save_config(),
}
for step in sys.stdin:
    action, _, argument = step.rstrip("\n").partition(" ")
    result = str(actions[action](argument)).encode()
    sys.stdout.buffer.write(b"%d\n%s" % (len(result), result))
    sys.stdout.buffer.flush()
device.disconnect()

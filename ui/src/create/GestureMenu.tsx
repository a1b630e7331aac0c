/** Gestures, of which one is written where the caret is. */
import { i18n } from "@lingui/core";
import { msg, t } from "@lingui/core/macro";
import { Button, Menu, MenuItem, MenuTrigger, Popover } from "react-aria-components";
import "../kit/overlays.css";

const GESTURES = {
  "open-palm": msg`open palm`,
  beat: msg`beat`,
  wave: msg`wave`,
  "point-left": msg`point left`,
  "point-right": msg`point right`,
  shrug: msg`shrug`,
  think: msg({ message: "think", context: "gesture" }),
  "count-1": msg`count 1`,
  "count-2": msg`count 2`,
  "count-3": msg`count 3`,
};

export function GestureMenu({ onChoose }: { onChoose: (gesture: string) => void }) {
  return (
    <MenuTrigger>
      <Button className="button">{t`Gesture`} ▾</Button>
      <Popover className="popover" placement="bottom start">
        <Menu className="menu" aria-label={t`Gesture here`} onAction={(key) => onChoose(String(key))}>
          {Object.entries(GESTURES).map(([one, name]) => (
            <MenuItem key={one} id={one}>
              {i18n.t(name)}
            </MenuItem>
          ))}
        </Menu>
      </Popover>
    </MenuTrigger>
  );
}

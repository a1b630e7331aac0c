/** Gestures, of which one is written where the caret is. */
import { Button, Menu, MenuItem, MenuTrigger, Popover } from "react-aria-components";
import "../kit/overlays.css";

const GESTURES = ["open-palm", "beat", "wave", "point-left", "point-right", "shrug", "think", "count-1", "count-2", "count-3"];

export function GestureMenu({ onChoose }: { onChoose: (gesture: string) => void }) {
  return (
    <MenuTrigger>
      <Button className="button">Gesture ▾</Button>
      <Popover className="popover" placement="bottom start">
        <Menu className="menu" aria-label="Gesture here" onAction={(key) => onChoose(String(key))}>
          {GESTURES.map((one) => (
            <MenuItem key={one} id={one}>
              {one.replaceAll("-", " ")}
            </MenuItem>
          ))}
        </Menu>
      </Popover>
    </MenuTrigger>
  );
}

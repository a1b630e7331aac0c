/** Colours, keys, and the way out. */
import type { RefObject } from "react";
import { Header, Keyboard, Menu, MenuItem, MenuSection, Popover, Separator } from "react-aria-components";
import type { Me } from "../api/client";
import "../kit/overlays.css";
import { chooseTheme, THEMES, type Theme, useTheme } from "./theme";

interface Props {
  me: Me;
  button: RefObject<HTMLButtonElement | null>;
  onClose: () => void;
  onShortcuts: () => void;
  onLeave: () => void;
}

export function AccountMenu({ me, button, onClose, onShortcuts, onLeave }: Props) {
  const theme = useTheme();
  return (
    <Popover
      aria-label="Settings"
      className="popover"
      triggerRef={button}
      isOpen
      onOpenChange={(open) => !open && onClose()}
      placement="top start"
    >
      <Menu className="menu" aria-label="Settings" autoFocus="first" onClose={onClose}>
        <MenuSection
          selectionMode="single"
          disallowEmptySelection
          selectedKeys={[theme]}
          onSelectionChange={(keys) => {
            const [chosen] = keys as Set<Theme>;
            if (chosen) chooseTheme(chosen);
          }}
        >
          <Header>Colours</Header>
          {Object.entries(THEMES).map(([id, name]) => (
            <MenuItem key={id} id={id}>
              {name}
            </MenuItem>
          ))}
        </MenuSection>
        <Separator />
        <MenuItem onAction={onShortcuts} textValue="Keys">
          Keys <Keyboard>?</Keyboard>
        </MenuItem>
        {me.kind === "session" && <MenuItem onAction={onLeave}>Log out</MenuItem>}
      </Menu>
    </Popover>
  );
}

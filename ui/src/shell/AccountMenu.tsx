/** Colours, language, keys, and the way out. */
import { i18n } from "@lingui/core";
import { t } from "@lingui/core/macro";
import type { RefObject } from "react";
import { Header, Keyboard, Menu, MenuItem, MenuSection, Popover, Separator } from "react-aria-components";
import type { Me } from "../api/client";
import { chooseLanguage, LANGUAGES, type Language, useLanguage } from "../kit/language";
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
  const language = useLanguage();
  return (
    <Popover
      aria-label={t`Settings`}
      className="popover"
      triggerRef={button}
      isOpen
      onOpenChange={(open) => !open && onClose()}
      placement="top start"
    >
      <Menu className="menu" aria-label={t`Settings`} autoFocus="first" onClose={onClose}>
        <MenuSection
          selectionMode="single"
          disallowEmptySelection
          selectedKeys={[theme]}
          onSelectionChange={(keys) => {
            const [chosen] = keys as Set<Theme>;
            if (chosen) chooseTheme(chosen);
          }}
        >
          <Header>{t`Colours`}</Header>
          {Object.entries(THEMES).map(([id, name]) => (
            <MenuItem key={id} id={id}>
              {i18n.t(name)}
            </MenuItem>
          ))}
        </MenuSection>
        <Separator />
        <MenuSection
          selectionMode="single"
          disallowEmptySelection
          selectedKeys={[language]}
          onSelectionChange={(keys) => {
            const [chosen] = keys as Set<Language | "system">;
            if (chosen) chooseLanguage(chosen);
          }}
        >
          <Header>{t`Language`}</Header>
          <MenuItem id="system">{t`System`}</MenuItem>
          {Object.entries(LANGUAGES).map(([id, name]) => (
            <MenuItem key={id} id={id}>
              <span lang={id}>{name}</span>
            </MenuItem>
          ))}
        </MenuSection>
        <Separator />
        <MenuItem onAction={onShortcuts} textValue={t({ message: "Keys", context: "keyboard" })}>
          {t({ message: "Keys", context: "keyboard" })} <Keyboard>?</Keyboard>
        </MenuItem>
        {me.kind === "session" && <MenuItem onAction={onLeave}>{t`Log out`}</MenuItem>}
      </Menu>
    </Popover>
  );
}

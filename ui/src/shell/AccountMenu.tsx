/** Colours, language, keys, and the way out. */
import { i18n } from "@lingui/core";
import { t } from "@lingui/core/macro";
import type { RefObject } from "react";
import { Header, Keyboard, Menu, MenuItem, MenuSection, Popover, Separator } from "react-aria-components";
import type { Me } from "../api/client";
import { chooseLanguage, LANGUAGES, type Language, useLanguage } from "../kit/language";
import { personWords } from "../kit/person";
import "../kit/overlays.css";
import { chooseTheme, THEMES, type Theme, useTheme } from "./theme";

/** A menu has each id once, and both sections have `system`. */
const LANGUAGE = "language ";

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
      <p className="who">
        <strong>{personWords(me.name)}</strong> <span className="quiet">{me.role}</span>
      </p>
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
          selectedKeys={[LANGUAGE + language]}
          onSelectionChange={(keys) => {
            const [chosen] = keys as Set<string>;
            if (chosen) chooseLanguage(chosen.slice(LANGUAGE.length) as Language | "system");
          }}
        >
          <Header>{t`Language`}</Header>
          <MenuItem id={`${LANGUAGE}system`}>{t`System`}</MenuItem>
          {Object.entries(LANGUAGES).map(([id, name]) => (
            <MenuItem key={id} id={LANGUAGE + id}>
              <span lang={id}>{name}</span>
            </MenuItem>
          ))}
        </MenuSection>
        <Separator />
        <MenuItem className="of-keyboard" onAction={onShortcuts} textValue={t`Keyboard shortcuts`}>
          {t`Keyboard shortcuts`} <Keyboard>?</Keyboard>
        </MenuItem>
        {me.kind === "session" && <MenuItem onAction={onLeave}>{t`Log out`}</MenuItem>}
      </Menu>
    </Popover>
  );
}

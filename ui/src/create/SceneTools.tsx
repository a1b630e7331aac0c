/** Moves a scene, or deletes it: buttons, or a menu where the page is narrow. */
import { t } from "@lingui/core/macro";
import { Button, Menu, MenuItem, MenuTrigger, Popover } from "react-aria-components";
import { IconAction } from "../kit/IconAction";
import { moveScene, removeScene } from "./document";
import { useNarrow } from "./panes";
import type { Editor } from "./useEditor";
import "../kit/overlays.css";

interface Props {
  scene: string;
  number: number;
  count: number;
  edit: Editor["edit"];
}

export function SceneTools({ scene, number, count, edit }: Props) {
  const narrow = useNarrow();
  const acts = {
    up: () => edit(t`Move scene`, (doc) => moveScene(doc, scene, -1)),
    down: () => edit(t`Move scene`, (doc) => moveScene(doc, scene, 1)),
    remove: () => edit(t`Delete scene`, (doc) => removeScene(doc, scene)),
  };
  const disabled = { up: number === 1, down: number === count, remove: count === 1 };
  if (!narrow)
    return (
      <span className="tools">
        <IconAction label={t`Move scene ${number} up`} disabled={disabled.up} onPress={acts.up}>
          ↑
        </IconAction>
        <IconAction label={t`Move scene ${number} down`} disabled={disabled.down} onPress={acts.down}>
          ↓
        </IconAction>
        <IconAction label={t`Delete scene ${number}`} disabled={disabled.remove} onPress={acts.remove}>
          ×
        </IconAction>
      </span>
    );
  const keys = Object.keys(acts) as (keyof typeof acts)[];
  return (
    <MenuTrigger>
      <Button className="icon" aria-label={t`Move or delete scene ${number}`}>
        ⋯
      </Button>
      <Popover className="popover" placement="bottom end">
        <Menu
          className="menu"
          aria-label={t`Move or delete scene ${number}`}
          disabledKeys={keys.filter((key) => disabled[key])}
          onAction={(key) => acts[key as keyof typeof acts]()}
        >
          <MenuItem id="up">{t`Move up`}</MenuItem>
          <MenuItem id="down">{t`Move down`}</MenuItem>
          <MenuItem id="remove">{t`Delete`}</MenuItem>
        </Menu>
      </Popover>
    </MenuTrigger>
  );
}

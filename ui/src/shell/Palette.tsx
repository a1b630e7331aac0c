/** Ctrl K: views and tools by a few letters, each with the right that it needs. */

import { i18n } from "@lingui/core";
import { t } from "@lingui/core/macro";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Autocomplete, Header, Input, ListBox, ListBoxItem, ListBoxSection, SearchField, useFilter } from "react-aria-components";
import { api, body, type Me } from "../api/client";
import { helpQuery } from "../chat/help";
import { suggest } from "../chat/suggestion";
import { callWords } from "../kit/calls";
import { keysText } from "../kit/keys";
import { Modal } from "../kit/Modal";
import { Icon } from "./Icon";
import { ROOM_NAMES, VIEWS } from "./rooms";

interface Act {
  id: string;
  name: string;
  keys?: string;
  act: () => void;
}

export function Palette({ me, acts, onClose }: { me: Me; acts: readonly Act[]; onClose: () => void }) {
  const navigate = useNavigate();
  const { contains } = useFilter({ sensitivity: "base" });
  const mayChat = me.permissions.includes("chat:use");
  const tools = useQuery({
    queryKey: ["tools"],
    queryFn: () => body(api.GET("/api/chat/tools")),
    enabled: mayChat,
    staleTime: Number.POSITIVE_INFINITY,
  });
  const help = useQuery({ ...helpQuery(), enabled: mayChat });
  const exampleOf = (tool: string) => help.data?.find((line) => line.tool === tool)?.examples[0] ?? "";
  /** A tool with several actions needs the right of the one that is asked for. */
  const isMissing = (permission: string) => !permission.split(", ").some((one) => me.permissions.includes(one));
  const words = (text: string, permission: string) => (
    <>
      {text}
      {isMissing(permission) && <span className="why">{t`needs ${permission}`}</span>}
    </>
  );
  /** Once the window is closed and has given the focus back. */
  const after = (act: () => void) => () => {
    onClose();
    requestAnimationFrame(() => requestAnimationFrame(act));
  };
  return (
    <Modal title={t`Go to, or do`} size="palette" dismissable onClose={onClose}>
      <Autocomplete filter={contains}>
        <SearchField aria-label={t`Go to a view, or call a tool`} autoFocus>
          <Input placeholder={t`Go to a view, or call a tool`} />
        </SearchField>
        {/* biome-ignore-start lint/a11y: what scrolls must be reached by keyboard, and a group is no landmark */}
        <div className="choices" role="group" tabIndex={0} aria-label={t`Found`}>
          <ListBox aria-label={t`Views and tools`} renderEmptyState={() => <p className="empty">{t`Nothing found`}</p>}>
            <ListBoxSection>
              <Header>{t`Go to`}</Header>
              {VIEWS.map((one) => (
                <ListBoxItem
                  key={one.path}
                  id={one.path}
                  textValue={`${i18n.t(one.name)} ${i18n.t(ROOM_NAMES[one.room])}`}
                  isDisabled={isMissing(one.permission)}
                  onAction={after(() => void navigate({ to: one.path }))}
                >
                  <Icon name={one.icon} />
                  {words(i18n.t(one.name), one.permission)}
                </ListBoxItem>
              ))}
            </ListBoxSection>
            <ListBoxSection>
              <Header>{t`Do`}</Header>
              {acts.map((one) => (
                <ListBoxItem key={one.id} id={one.id} textValue={one.name} onAction={after(one.act)}>
                  {one.name}
                  {one.keys && <kbd>{keysText(one.keys)}</kbd>}
                </ListBoxItem>
              ))}
            </ListBoxSection>
            {tools.data && help.data && (
              <ListBoxSection>
                <Header>{t`Ask for in the chat`}</Header>
                {tools.data.map((one) => (
                  <ListBoxItem
                    key={one.name}
                    id={`tool ${one.name}`}
                    textValue={`${callWords(one.name)} ${one.name} ${one.purpose}`}
                    isDisabled={isMissing(one.permission) || !exampleOf(one.name)}
                    onAction={after(() => suggest(exampleOf(one.name)))}
                  >
                    <Icon name="chat" />
                    {words(capitalised(callWords(one.name)), one.permission)}
                  </ListBoxItem>
                ))}
              </ListBoxSection>
            )}
          </ListBox>
        </div>
        {/* biome-ignore-end lint/a11y: so far */}
      </Autocomplete>
    </Modal>
  );
}

const capitalised = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

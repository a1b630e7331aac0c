/** Brand kits: colours, fonts, logo and cards that projects take where they have none of their own. */

import { msg, t } from "@lingui/core/macro";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, type Brand, body } from "../api/client";
import { BrandChange, BrandFonts, TitleCard } from "../api/limits";
import { ConfirmedAction } from "../kit/ConfirmedAction";
import { Field } from "../kit/Field";
import { Form, FormError } from "../kit/Form";
import { NoRows } from "../kit/kit";
import { Modal } from "../kit/Modal";
import { Select } from "../kit/Select";
import { usePrincipal } from "../shell/me";
import { BrandSample } from "./BrandSample";
import { FileField, MusicField } from "./MusicField";
import "./create.css";

type Colours = Brand["colours"];
/** What the dialog changes; the rest of a kit stays as it is. */
type Kit = Pick<Brand, "name" | "colours" | "fonts" | "logo" | "lower_third" | "intro" | "outro" | "music">;

const NEW: Kit = {
  name: "",
  colours: { text: null, accent: "#3347d1", panel: null },
  fonts: { heading: null, body: null },
  logo: null,
  outro: null,
  music: null,
  lower_third: null,
  intro: null,
};
const SIDE = { width: 0.1, height: 0.12 };
const CORNERS = {
  top_right: [0.86, 0.05],
  top_left: [0.04, 0.05],
  bottom_right: [0.86, 0.83],
  bottom_left: [0.04, 0.83],
} as const;
const CORNER_NAMES = {
  top_right: msg`top right`,
  top_left: msg`top left`,
  bottom_right: msg`bottom right`,
  bottom_left: msg`bottom left`,
};
const FALLBACK = { text: "#ffffff", accent: "#3347d1", panel: "#10202c" };

export function BrandsView() {
  const { permissions } = usePrincipal();
  const [edited, edit] = useState<Brand | Kit | null>(null);
  const brands = useQuery({ queryKey: ["brands"], queryFn: () => body(api.GET("/api/brands")) });
  return (
    <div className="stack">
      <div className="row apart">
        <h1>{t`Brand kits`}</h1>
        {permissions.includes("brand:create") && (
          <button type="button" className="primary" onClick={() => edit(NEW)}>{t`New brand kit`}</button>
        )}
      </div>
      <NoRows of={brands}>{t`No brand kit yet. One gives all videos of a project the same colours, fonts and logo.`}</NoRows>
      <ul className="project-grid">
        {brands.data?.map((one) => (
          <Card key={one.id} brand={one} onEdit={() => edit(one)} />
        ))}
      </ul>
      {edited && <BrandDialog brand={edited} onClose={() => edit(null)} />}
    </div>
  );
}

function Card({ brand, onEdit }: { brand: Brand; onEdit: () => void }) {
  const { permissions } = usePrincipal();
  const queries = useQueryClient();
  return (
    <li className="card project brand-card">
      <BrandSample kit={brand} />
      <div className="words">
        <strong>{brand.name}</strong>
        <span className="quiet">{brand.fonts.heading ?? t`usual fonts`}</span>
      </div>
      <div className="row">
        {permissions.includes("brand:update") && (
          <button type="button" className="plain" onClick={onEdit} aria-label={t`Edit ${brand.name}`}>{t`Edit`}</button>
        )}
        {permissions.includes("brand:delete") && (
          <ConfirmedAction
            label={t`Delete`}
            about={brand.name}
            title={t`Delete “${brand.name}”?`}
            confirmLabel={t`Delete this brand kit`}
            action={() => api.DELETE("/api/brands/{brand_id}", { params: { path: { brand_id: brand.id } } })}
            onSuccess={() => void queries.invalidateQueries({ queryKey: ["brands"] })}
          >
            <p>{t`Videos that were made with it stay as they are.`}</p>
          </ConfirmedAction>
        )}
      </div>
    </li>
  );
}

function BrandDialog({ brand, onClose }: { brand: Brand | Kit; onClose: () => void }) {
  const queries = useQueryClient();
  const id = "id" in brand ? brand.id : null;
  const [kit, setKit] = useState<Kit>(() => {
    const { name, colours, fonts, logo, lower_third, intro, outro, music } = brand;
    return { name, colours, fonts, logo, lower_third, intro, outro, music };
  });
  const change = (values: Partial<Kit>) => setKit((now) => ({ ...now, ...values }));
  const save = useMutation({
    mutationFn: () =>
      id === null
        ? body(api.POST("/api/brands", { body: kit as never }))
        : body(api.PATCH("/api/brands/{brand_id}", { params: { path: { brand_id: id } }, body: kit as never })),
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: ["brands"] });
      onClose();
    },
  });
  const colour = (name: keyof Colours, label: string) => (
    <ColourField
      label={label}
      value={kit.colours[name]}
      fallback={FALLBACK[name]}
      onChange={(value) => change({ colours: { ...kit.colours, [name]: value } })}
    />
  );
  const font = (name: keyof Brand["fonts"], label: string) => (
    <Field
      of={BrandFonts}
      name={name}
      path={`fonts.${name}`}
      label={label}
      required={false}
      value={kit.fonts[name] ?? ""}
      placeholder={t`the usual one`}
      onChange={(value) => change({ fonts: { ...kit.fonts, [name]: value || null } })}
    />
  );
  return (
    <Modal title={id === null ? t`New brand kit` : t`Brand kit ${brand.name}`} size="wide" onClose={onClose}>
      <Form className="stack" error={save.error} onSubmit={save.mutate}>
        <Field of={BrandChange} name="name" label={t`Name`} value={kit.name} onChange={(value) => change({ name: value })} />
        <div className="brand-look">
          <BrandSample kit={kit} />
          <div className="stack">
            {colour("accent", t`Accent colour`)}
            {colour("text", t`Colour of letters`)}
            {colour("panel", t`Colour behind letters`)}
          </div>
        </div>
        <div className="brand-fields">
          {font("heading", t`Font of titles`)}
          {font("body", t`Font of texts`)}
        </div>
        <LogoField logo={kit.logo ?? null} onChange={(logo) => change({ logo })} />
        <MusicField music={kit.music ?? null} onChange={(music) => change({ music })} />
        <label className="brand-choice">
          <input
            type="checkbox"
            checked={kit.lower_third !== null}
            onChange={(event) =>
              change({ lower_third: event.target.checked ? { side: "left", start_ms: 800, duration_ms: 5000 } : null })
            }
          />
          {t`Show the name of each presenter when they first speak`}
        </label>
        <CardChoice
          label={t`Begin with a card that has the title of the video`}
          card={kit.intro}
          fallback={INTRO}
          onChange={(intro) => change({ intro })}
        />
        <CardChoice
          label={t`End with a card`}
          textLabel={t`Words of the last card`}
          card={kit.outro}
          fallback={outro()}
          onChange={(outro) => change({ outro })}
        />
        <FormError />
        <div className="row ends">
          <button type="button" onClick={onClose}>{t`Cancel`}</button>
          <button type="submit" className="primary" disabled={save.isPending}>{t`Save`}</button>
        </div>
      </Form>
    </Modal>
  );
}

type Card = Brand["intro"];
const INTRO = { kind: "title", title: "{title}", subtitle: "{subtitle}", duration_ms: 3000 } as unknown as Card;
const outro = () => ({ ...INTRO, title: t`Thank you for watching`, subtitle: "" }) as unknown as Card;

interface CardProps {
  label: string;
  textLabel?: string;
  card: Card | undefined;
  fallback: Card;
  onChange: (card: Card) => void;
}

/** A card, or none; one with a picture or a clip, as programs make them, stays as it is. */
function CardChoice({ label, textLabel, card, fallback, onChange }: CardProps) {
  return (
    <>
      <label className="brand-choice">
        <input type="checkbox" checked={card != null} onChange={(event) => onChange(event.target.checked ? fallback : null)} />
        {label}
      </label>
      {textLabel && card && "title" in card && (
        <Field
          bare
          of={TitleCard}
          name="title"
          path="outro.title"
          label={textLabel}
          value={card.title}
          onChange={(value) => onChange({ ...card, title: value })}
        />
      )}
    </>
  );
}

interface ColourProps {
  label: string;
  value: string | null | undefined;
  fallback: string;
  onChange: (value: string | null) => void;
}

/** A colour, or none: that of the text or list itself. */
function ColourField({ label, value, fallback, onChange }: ColourProps) {
  return (
    <div className="row apart">
      <label className="brand-choice">
        <input type="checkbox" checked={value != null} onChange={(event) => onChange(event.target.checked ? fallback : null)} />
        {label}
      </label>
      <input
        type="color"
        aria-label={t`${label}: value`}
        // The element knows no transparency.
        value={(value ?? fallback).slice(0, 7)}
        disabled={value == null}
        onChange={(event) => onChange(event.target.value + (value ?? "").slice(7))}
      />
    </div>
  );
}

function LogoField({ logo, onChange }: { logo: Brand["logo"]; onChange: (logo: Brand["logo"]) => void }) {
  const corner = Object.entries(CORNERS).find(([, [x, y]]) => logo?.box.x === x && logo.box.y === y)?.[0] ?? "";
  const choose = (sha256: string) => {
    const [x, y] = CORNERS.top_right;
    onChange(sha256 ? { opacity: 1, box: { x, y, ...SIDE }, ...logo, image: { sha256 } } : null);
  };
  return (
    <fieldset className="brand-fields">
      <legend className="visually-hidden">{t`Logo`}</legend>
      <FileField kind="image" label={t`Logo`} uploadLabel={t`Upload a logo`} sha256={logo?.image.sha256} onChoose={choose} />
      {logo && (
        <Select
          label={t`Corner`}
          value={corner}
          onChange={(chosen) => {
            const [x, y] = CORNERS[chosen];
            onChange({ ...logo, box: { ...logo.box, x, y } });
          }}
          of={CORNER_NAMES}
        >
          {corner === "" && <option value="">{t`as it is`}</option>}
        </Select>
      )}
    </fieldset>
  );
}

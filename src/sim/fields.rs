//! The fields of `Query` that the simulator answers.

use regex::Regex;
use serde_json::{Value, json};

use super::buckets::Buckets;
use super::graphql::Root;
use super::metrics::{Entity, Metric, MetricKind, Reader, mean, service_id};
use super::{Config, Generation, mqe};

/// The only layer that the simulated services belong to.
const LAYER: &str = "GENERAL";

/// What a server knows at one moment.
pub(super) struct Fields<'a> {
    pub(super) config: &'a Config,
    pub(super) reader: Reader<'a>,
    /// The OAP's clock, in milliseconds since the epoch.
    pub(super) now: i64,
}

impl Root for Fields<'_> {
    fn resolve(&self, field: &str, arguments: &Value) -> Result<Value, String> {
        let text = |key: &str| arguments[key].as_str().unwrap_or("");
        match field {
            "version" => Ok(json!(self.config.generation.version())),
            "getTimeInfo" => Ok(self.time_info()),
            "checkHealth" => self.health(),
            "listMetrics" => self.list_metrics(arguments["regex"].as_str()),
            "typeOfMetrics" => Ok(json!(
                Metric::named(text("name")).map_or("UNKNOWN", Metric::type_name)
            )),
            "listLayers" => Ok(json!(self.config.generation.layers())),
            "listServices" => Ok(self.list_services(arguments["layer"].as_str())),
            "findService" => Ok(self.find_service(text("serviceName"))),
            "readMetricsValues" => {
                let read = Read::from_json(arguments, self.config)?;
                Ok(json!({"label": null, "values": {"values": self.points(&read)?}}))
            }
            "readMetricsValue" => {
                let value = self.single(&Read::from_json(arguments, self.config)?)?;
                Ok(json!(value.unwrap_or(0)))
            }
            "readNullableMetricsValue" => {
                let value = self.single(&Read::from_json(arguments, self.config)?)?;
                Ok(json!({"value": value.unwrap_or(0), "isEmptyValue": value.is_none()}))
            }
            "readLabeledMetricsValues" => {
                let read = Read::from_json(arguments, self.config)?;
                Ok(self.labelled(&read, &arguments["labels"]))
            }
            "sortMetrics" => self.sort(&arguments["condition"], &arguments["duration"]),
            "execExpression" => {
                let buckets = self.buckets(&arguments["duration"])?;
                let entity = Entity::from_json(&arguments["entity"]);
                Ok(mqe::execute(
                    text("expression"),
                    &entity,
                    &buckets,
                    &self.reader,
                ))
            }
            other => Err(format!("`{other}` is not simulated")),
        }
    }
}

/// The arguments of the older queries.
struct Read {
    name: String,
    metric: Option<Metric>,
    entity: Entity,
    buckets: Buckets,
}

impl Read {
    fn from_json(arguments: &Value, config: &Config) -> Result<Self, String> {
        let condition = &arguments["condition"];
        let name = condition["name"].as_str().unwrap_or("").to_owned();
        Ok(Self {
            metric: Metric::named(&name),
            name,
            entity: Entity::from_json(&condition["entity"]),
            buckets: Buckets::parse(&arguments["duration"], config.zone, config.generation)?,
        })
    }

    /// The id of a point. It is all that tells a question which made no sense from one without an answer.
    fn point_id(&self, start: i64) -> String {
        let bucket = self.buckets.id(start);
        if self.metric.is_none() {
            format!("{bucket}_UNKNOWN_METRIC_NAME")
        } else if self.entity.is_legal() {
            format!("{}_{bucket}_{}", self.name, self.entity.id())
        } else {
            format!("{bucket}_ILLEGAL_ENTITY")
        }
    }

    fn point_list(&self, values: &[Option<i64>]) -> Value {
        let points = self.buckets.starts().zip(values).map(|(start, value)| {
            json!({
                "id": self.point_id(start),
                "value": value.unwrap_or(0),
                "isEmptyValue": value.is_none(),
            })
        });
        points.collect()
    }
}

impl Fields<'_> {
    fn buckets(&self, duration: &Value) -> Result<Buckets, String> {
        Buckets::parse(duration, self.config.zone, self.config.generation)
    }

    fn time_info(&self) -> Value {
        let seconds = self.config.zone.seconds();
        let sign = if seconds < 0 { '-' } else { '+' };
        let minutes = seconds.abs() / 60;
        json!({
            "timezone": format!("{sign}{:02}{:02}", minutes / 60, minutes % 60),
            "currentTimestamp": self.now,
        })
    }

    fn health(&self) -> Result<Value, String> {
        match self.config.generation {
            Generation::V9_7 => Err("health-checker missing.".to_owned()),
            Generation::V10_4 => Ok(json!({"score": 0, "details": ""})),
        }
    }

    fn list_metrics(&self, regex: Option<&str>) -> Result<Value, String> {
        let pattern = Regex::new(&format!("^(?:{})$", regex.unwrap_or(".*"))).map_err(|fault| {
            self.config
                .generation
                .exception("java.util.regex.PatternSyntaxException", &fault.to_string())
        })?;
        Ok(Metric::ALL
            .iter()
            .filter(|metric| pattern.is_match(metric.name))
            .map(|metric| {
                json!({
                    "name": metric.name,
                    "type": metric.type_name(),
                    "catalog": metric.catalog.name(),
                })
            })
            .collect())
    }

    fn list_services(&self, layer: Option<&str>) -> Value {
        if layer.is_some_and(|layer| layer != LAYER) {
            return json!([]);
        }
        self.reader
            .services()
            .map(|service| service_json(service.name()))
            .collect()
    }

    fn find_service(&self, name: &str) -> Value {
        self.reader
            .services()
            .find(|service| service.name() == name)
            .map_or(Value::Null, |service| service_json(service.name()))
    }

    /// The values in each bucket; an error for a labelled metric with data, which is read as a number there.
    fn values(&self, read: &Read) -> Result<Vec<Option<i64>>, String> {
        let nothing = || read.buckets.starts().map(|_| None).collect();
        let Some(metric) = read.metric.filter(|_| read.entity.is_legal()) else {
            return Ok(nothing());
        };
        match metric.kind() {
            MetricKind::Plain(_) => Ok(self.reader.plain(metric, &read.entity, &read.buckets)),
            MetricKind::Percentile => {
                let rows = self.reader.percentiles(metric, &read.entity, &read.buckets);
                match rows.into_iter().flatten().next() {
                    Some(row) => Err(self.labelled_as_number(&row)),
                    None => Ok(nothing()),
                }
            }
        }
    }

    fn points(&self, read: &Read) -> Result<Value, String> {
        Ok(read.point_list(&self.values(read)?))
    }

    fn single(&self, read: &Read) -> Result<Option<i64>, String> {
        Ok(mean(&self.values(read)?))
    }

    /// What the storage says when a labelled value is read as a number.
    fn labelled_as_number(&self, row: &[i64; 5]) -> String {
        match self.config.generation {
            Generation::V9_7 => "null".to_owned(),
            Generation::V10_4 => {
                let [p50, p75, p90, p95, p99] = row;
                format!(
                    "org.postgresql.util.PSQLException: Bad value for type long : \
                     {{p=50}},{p50}|{{p=95}},{p95}|{{p=90}},{p90}|{{p=75}},{p75}|{{p=99}},{p99}"
                )
            }
        }
    }

    /// One series a label. On 10.4 no label that a caller could name matches the stored ones, and the list is empty.
    fn labelled(&self, read: &Read, labels: &Value) -> Value {
        let percentile = read
            .metric
            .filter(|metric| metric.kind() == MetricKind::Percentile && read.entity.is_legal());
        if percentile.is_some() && self.config.generation == Generation::V10_4 {
            return json!([]);
        }
        let rows = percentile
            .map(|metric| self.reader.percentiles(metric, &read.entity, &read.buckets))
            .unwrap_or_default();
        let labels = labels.as_array().into_iter().flatten();
        labels
            .map(|label| {
                let place: Option<usize> = label.as_str().and_then(|label| label.parse().ok());
                let value = |i: usize| rows.get(i)?.as_ref()?.get(place?).copied();
                let count = read.buckets.starts().count();
                let values: Vec<Option<i64>> = (0..count).map(value).collect();
                json!({"label": label, "values": {"values": read.point_list(&values)}})
            })
            .collect()
    }

    fn sort(&self, condition: &Value, duration: &Value) -> Result<Value, String> {
        let buckets = self.buckets(duration)?;
        let Some(metric) = Metric::named(condition["name"].as_str().unwrap_or("")) else {
            return Ok(json!([]));
        };
        let mut ranked = self.reader.ranked(metric, &buckets);
        let ascending = condition["order"] == "ASC";
        // Stable: equals keep the order in which services are listed.
        ranked.sort_by_key(|(_, value)| if ascending { *value } else { -*value });
        let count = condition["topN"].as_u64().unwrap_or(0);
        Ok(ranked
            .into_iter()
            .take(usize::try_from(count).unwrap_or(usize::MAX))
            .map(|(name, value)| {
                json!({
                    "id": service_id(&name, true),
                    "name": name,
                    "value": value.to_string(),
                    "refId": null,
                })
            })
            .collect())
    }
}

fn service_json(name: &str) -> Value {
    json!({
        "id": service_id(name, true),
        "name": name,
        "group": "",
        "shortName": name,
        "layers": [LAYER],
        "normal": true,
    })
}
